"""The same prompts through this engine, transformers' generate and generate_batch, and vLLM: tokens per second, in turn.

    python scripts/benchmark_engines.py
    python scripts/benchmark_engines.py --model smollm2 --rounds 3 --vllm .venv-vllm/bin/python --generate-batch

32 prompts of 4 to 75 tokens (pieces of README.md) x 4 samples, up to 64 new tokens in float32, rows end early at the
tokens of a full stop and a comma. Every side draws its own texts at temperature 1, so the rate counts the tokens that it
drew. Losses are printed like wins.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.decoding.batches import plan_batches, rectangle
from temp_processors.engines.engine import DecodeRow, DrawOptions
from temp_processors.engines.local import LocalEngine
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper

LENGTHS = [4 + (71 * place) // 31 for place in range(32)]
SAMPLES, NEW = 4, 64
VLLM = """
import json, os, sys, time
os.environ.update(VLLM_LOGGING_LEVEL="ERROR", VLLM_ENABLE_V1_MULTIPROCESSING="0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
from vllm import LLM, SamplingParams
job = json.loads(sys.argv[1])
llm = LLM(model=job["model"], dtype="float32", max_model_len=512, enforce_eager=job["eager"])
params = SamplingParams(temperature=1.0, n=job["samples"], max_tokens=job["new"], stop_token_ids=job["ends"], detokenize=False)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    found = llm.generate([{"prompt_token_ids": ids} for ids in job["prompts"]], params, use_tqdm=False)
    tokens = sum(len(text.token_ids) for one in found for text in one.outputs)
    print("round", tokens, time.perf_counter() - start, flush=True)
"""


class Peers:
    """The sides, each a function that draws everything once and returns how many tokens it drew."""

    def __init__(self, engine: LocalEngine, batch: int) -> None:
        self.engine, self.batch = engine, batch
        readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
        ids = engine.tokenizer(readme)["input_ids"]
        self.prompts = [tuple(ids[80 * place : 80 * place + length]) for place, length in enumerate(LENGTHS)]
        marks = [engine.tokenizer.encode(mark, add_special_tokens=False)[0] for mark in (".", ",")]
        self.ends = sorted({*engine.eos_token_ids, *marks})
        engine.model.generation_config.eos_token_id = self.ends

    def ours(self) -> int:
        """This engine as it is set by default."""
        rows = [DecodeRow(p, 0, 100 * n + s) for n, p in enumerate(self.prompts) for s in range(SAMPLES)]
        policy = [lambda _: FixedTemperatureLogitsWarper(1.0)]
        return sum(done.steps for done in self.engine.draw(rows, policy, DrawOptions(NEW)))

    def generate(self) -> int:
        """`generate` on batches of similar lengths, padded on the left."""
        tokens = 0
        for chosen in plan_batches(LENGTHS, self.batch // SAMPLES):
            ids, mask = rectangle([self.prompts[place] for place in chosen], 0, "left")
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


class Vllm:
    """vLLM in a process of its own environment."""

    def __init__(self, python: str, folder: str, peers: Peers, eager: bool) -> None:
        job = {
            "model": folder,
            "samples": SAMPLES,
            "new": NEW,
            "ends": peers.ends,
            "prompts": peers.prompts,
            "eager": eager,
        }
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([python, "-c", VLLM, json.dumps(job)], stdin=pipe, stdout=pipe, text=True)
        self._line("ready")
        self.seconds = 0.0

    def _line(self, first: str) -> list[str]:
        for line in self.process.stdout or ():
            if line.startswith(first):
                return line.split()
        raise SystemExit("vLLM ended before it answered")

    def __call__(self) -> int:
        """Draw everything once."""
        print("go", file=self.process.stdin, flush=True)
        return int(self._line("round")[1])


def main() -> None:
    """Time all sides in turn and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128, help="rows of one generate call")
    parser.add_argument("--vllm", metavar="PYTHON", help="of the environment that has vLLM")
    parser.add_argument("--eager", action="store_true", help="vLLM without compiling")
    parser.add_argument("--generate-batch", action="store_true", help="also continuous batching of transformers")
    options = parser.parse_args()
    engine = LocalEngine.of(ModelSpec(name=options.model, dtype="float32"))
    peers = Peers(engine, options.batch)
    sides: dict[str, Callable[[], Any]] = {"ours": peers.ours, "generate": peers.generate}
    if options.generate_batch:
        sides["generate_batch"] = peers.generate_batch
    with tempfile.TemporaryDirectory() as folder:
        if options.vllm:
            config = copy.deepcopy(engine.model.config)
            if hasattr(config, "quantization_config"):  # a GGUF file, which is float32 by now
                del config.quantization_config
            plain = type(engine.model)(config)
            plain.load_state_dict(engine.model.state_dict())
            plain.save_pretrained(folder)
            del plain
            engine.tokenizer.save_pretrained(folder)
            sides["vLLM"] = Vllm(options.vllm, folder, peers, options.eager)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(options.rounds + 1):
            for name, side in sides.items():
                if not number and name == "generate":  # the first round warms up what keeps something
                    continue
                begin = time.perf_counter()
                tokens = side()
                rate = tokens / (time.perf_counter() - begin)
                if number:
                    rates[name].append(rate)
                    print(f"round {number}: {name:<15}{tokens:6} tokens {rate:7.0f} tokens/s", flush=True)
    print(f"\ntorch {torch.__version__}, {torch.get_num_threads()} threads, {options.model}")
    ours = statistics.median(rates["ours"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<15}{median:7.0f} tokens/s   {ours / median:5.2f} x is ours")


if __name__ == "__main__":
    main()
