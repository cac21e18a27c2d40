"""The same prompts through this engine, transformers' generate and generate_batch, vLLM and llama.cpp: tokens per second, in turn.

    python scripts/benchmark_engines.py
    python scripts/benchmark_engines.py --model smollm2 --rounds 3 --vllm .venv-vllm/bin/python --generate-batch
    python scripts/benchmark_engines.py --model smollm2 --llama .venv-llama/bin/python

32 prompts of 4 to 75 tokens (pieces of README.md) x 4 samples, up to 64 new tokens in float32. With `--ends marks` (the
default) rows end early at the tokens of a full stop and a comma, after some 16 tokens; with `--ends eos` at the model's own end
alone, so that nearly all have 64. Every side draws its own texts at temperature 1, so the rate counts the tokens that it drew.
Losses are printed like wins. llama.cpp reads the GGUF file and computes in its weights as they are, not in float32: one text
after the other as its `Llama.generate` draws, and as many at once as `--llama-rows` says, in sequences of one context.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.decoding.batches import plan_batches, rectangle
from temp_processors.engines.engine import DecodeRow, DrawOptions
from temp_processors.engines.local import LocalEngine
from temp_processors.engines.sources import find_model
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper

LENGTHS = [4 + (71 * place) // 31 for place in range(32)]
SAMPLES, NEW = 4, 64
MARKS = {"marks": (".", ","), "eos": ()}
VLLM = """
import json, os, sys, time
os.environ.update(VLLM_LOGGING_LEVEL="ERROR", VLLM_ENABLE_V1_MULTIPROCESSING="0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
from vllm import LLM, SamplingParams
job = json.loads(sys.argv[1])
llm = LLM(model=job["model"], dtype=job["dtype"], max_model_len=512, enforce_eager=job["eager"])
params = SamplingParams(temperature=1.0, n=job["samples"], max_tokens=job["new"], stop_token_ids=job["ends"], detokenize=False)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    found = llm.generate([{"prompt_token_ids": ids} for ids in job["prompts"]], params, use_tqdm=False)
    tokens = sum(len(text.token_ids) for one in found for text in one.outputs)
    print("round", tokens, time.perf_counter() - start, flush=True)
"""


class Peers:
    """The sides, each a function that draws everything once and returns how many tokens it drew.

    Args:
        engine: Ours.
        batch: Rows of one `generate` call.
        lengths: Of the prompts, in tokens.
        marks: Texts of one token that end a text, beside the model's own ends.
    """

    def __init__(
        self,
        engine: LocalEngine,
        batch: int,
        lengths: Sequence[int] = LENGTHS,
        marks: Sequence[str] = MARKS["marks"],
    ) -> None:
        self.engine, self.batch, self.lengths = engine, batch, lengths
        readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
        ids = engine.tokenizer(readme)["input_ids"]
        self.prompts = [tuple(ids[80 * place : 80 * place + length]) for place, length in enumerate(lengths)]
        more = [engine.tokenizer.encode(mark, add_special_tokens=False)[0] for mark in marks]
        self.ends = sorted({*engine.eos_token_ids, *more})
        engine.model.generation_config.eos_token_id = self.ends

    def ours(self) -> int:
        """This engine as it is set by default."""
        rows = [DecodeRow(p, 0, 100 * n + s) for n, p in enumerate(self.prompts) for s in range(SAMPLES)]
        policy = [lambda _: FixedTemperatureLogitsWarper(1.0)]
        return sum(done.steps for done in self.engine.draw(rows, policy, DrawOptions(NEW)))

    def generate(self) -> int:
        """`generate` on batches of similar lengths, padded on the left."""
        tokens = 0
        for chosen in plan_batches(self.lengths, self.batch // SAMPLES):
            given = rectangle([self.prompts[place] for place in chosen], 0, "left")
            ids, mask = (tensor.to(self.engine.model.device) for tensor in given)
            out = self.engine.model.generate(
                ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=NEW, num_return_sequences=SAMPLES,
                eos_token_id=self.ends, pad_token_id=self.ends[0],
            )  # fmt: skip
            tokens += sum(self._length(row) for row in out[:, ids.shape[1] :].tolist())
        return tokens

    def _length(self, row: list[int]) -> int:
        return next((place + 1 for place, token in enumerate(row) if token in self.ends), len(row))

    def generate_batch(self) -> int:
        """transformers' continuous batching."""
        config = GenerationConfig(
            do_sample=True, top_k=0, max_new_tokens=NEW, eos_token_id=self.ends, pad_token_id=self.ends[0]
        )
        inputs = [list(prompt) for prompt in self.prompts for _ in range(SAMPLES)]
        found = self.engine.model.generate_batch(inputs, generation_config=config, progress_bar=False)
        return sum(len(one.generated_tokens) for one in found.values())


class Outside:
    """A side in a process of another environment: it answers every line by a round of everything."""

    def __init__(self, command: list[str], peers: Peers, **job: Any) -> None:
        shared = {"samples": SAMPLES, "new": NEW, "ends": peers.ends, "prompts": peers.prompts}
        pipe = subprocess.PIPE
        self.python = command[0]
        self.process = subprocess.Popen([*command, json.dumps({**shared, **job})], stdin=pipe, stdout=pipe, text=True)
        self._line("ready")

    def _line(self, first: str) -> list[str]:
        for line in self.process.stdout or ():
            if line.startswith(first):
                return line.split()
        raise SystemExit(f"{self.python}: ended before it answered")

    def __call__(self) -> int:
        """Draw everything once."""
        print("go", file=self.process.stdin, flush=True)
        return int(self._line("round")[1])


def vllm(python: str, folder: str, peers: Peers, eager: bool) -> Outside:
    """vLLM on a model that `plain_copy` wrote, every prompt with n > 1."""
    dtype = str(peers.engine.model.dtype).removeprefix("torch.")
    return Outside([python, "-c", VLLM], peers, model=folder, eager=eager, dtype=dtype)


def llama_cpp(python: str, model: str, peers: Peers, rows: int) -> Outside:
    """llama-cpp-python on the GGUF file of a model, `rows` texts at once; 0 for one after the other.

    Raises:
        SystemExit: The model is no GGUF file.
    """
    found = find_model(ModelSpec(name=model))
    if found.gguf_file is None:
        raise SystemExit(f"--llama: {model!r} is no GGUF file, which llama.cpp reads; smollm2 is one")
    command = [python, str(Path(__file__).with_name("draw_with_llama_cpp.py"))]
    file, threads = str(Path(found.name) / found.gguf_file), torch.get_num_threads()
    return Outside(command, peers, model=file, threads=threads, rows=rows)


def plain_copy(engine: LocalEngine, folder: str) -> None:
    """Write model and tokenizer for vLLM: of a GGUF file, which is float32 by now, as what it is."""
    config = copy.deepcopy(engine.model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(engine.model)(config)
    plain.load_state_dict(engine.model.state_dict())
    plain.save_pretrained(folder)
    engine.tokenizer.save_pretrained(folder)


@contextmanager
def sides_of(
    peers: Peers, options: argparse.Namespace, *, eager: bool = False
) -> Iterator[dict[str, Callable[[], Any]]]:
    """Ours and `generate`, and what `options` (generate_batch, vllm) ask for besides; vLLM without compiling where `eager`."""
    sides: dict[str, Callable[[], Any]] = {"ours": peers.ours, "generate": peers.generate}
    if options.generate_batch:
        sides["generate_batch"] = peers.generate_batch
    with tempfile.TemporaryDirectory() as folder:
        if options.vllm:
            plain_copy(peers.engine, folder)
            sides["vLLM"] = vllm(options.vllm, folder, peers, eager)
        yield sides


def main() -> None:
    """Time all sides in turn and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128, help="rows of one generate call")
    parser.add_argument("--ends", choices=MARKS, default="marks", help="where texts end before 64 tokens")
    parser.add_argument("--vllm", metavar="PYTHON", help="of the environment that has vLLM")
    parser.add_argument("--llama", metavar="PYTHON", help="of the environment that has llama-cpp-python")
    parser.add_argument("--llama-rows", type=int, default=32, help="texts that llama.cpp draws at once")
    parser.add_argument("--eager", action="store_true", help="vLLM without compiling")
    parser.add_argument("--generate-batch", action="store_true", help="also continuous batching of transformers")
    options = parser.parse_args()
    engine = LocalEngine.of(ModelSpec(name=options.model, dtype="float32"))
    peers = Peers(engine, options.batch, marks=MARKS[options.ends])
    with sides_of(peers, options, eager=options.eager) as sides:
        if options.llama:
            sides["llama.cpp, one by one"] = llama_cpp(options.llama, options.model, peers, 0)
            name = f"llama.cpp, {options.llama_rows} at once"
            sides[name] = llama_cpp(options.llama, options.model, peers, options.llama_rows)
        rates = rates_of(sides, options.rounds)
    print(f"\ntorch {torch.__version__}, {torch.get_num_threads()} threads, {options.model}, --ends {options.ends}")
    tell(rates)


def rates_of(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Tokens per second of every side in every round, told as they come; a round before warms up what keeps something."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            if not number and name == "generate":
                continue
            begin = time.perf_counter()
            tokens = side()
            rate = tokens / (time.perf_counter() - begin)
            if number:
                rates[name].append(rate)
                print(f"round {number}: {name:<22}{tokens:6} tokens {rate:7.0f} tokens/s", flush=True)
    return rates


def tell(rates: dict[str, list[float]]) -> None:
    """The medians, and how many times as fast ours is."""
    ours = statistics.median(rates["ours"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<22}{median:7.0f} tokens/s   {ours / median:5.2f} x is ours")


if __name__ == "__main__":
    main()
