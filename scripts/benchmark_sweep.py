"""Time a sweep (policies x samples of one prompt): the loop people write, one call per policy, ours, the bare model.

    python scripts/benchmark_sweep.py
    python scripts/benchmark_sweep.py --models llama4m fox --prompt-tokens 16 256 --repeats 5 --early

Models: `fox`, `llama4m` and `gpt2-124m` (the last two: those shapes, random weights), or a folder or Hub id. Ways are timed in turn,
`--repeats` times; the table shows medians and, against ours, the median of the ratios within each turn.

loop      one generate() per sample with a policy and a seeded draw (`--loop` samples are timed, the rest extrapolated)
policy    one generate() per policy
ours      LocalEngine.draw, as a run draws: by continuous batching where the model can
decode    temp_processors.engines.decoding.decode, the whole batches of models that cannot
forward   the model's forward passes alone, prompt prefilled once, on each cache
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, LlamaConfig, StaticCache
from transformers.utils import logging as transformers_logging

from temp_processors.engines.decoding.by_generate import decode_with_generate
from temp_processors.engines.decoding.cache import share_out
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.prefill import prefill
from temp_processors.engines.engine import DecodeRow, DrawOptions
from temp_processors.engines.local import LocalEngine
from temp_processors.fox import FOX_PATH
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper

FLOORS = {
    "the faster cache of transformers": ("forward dynamic", "forward static"),
    "our own cache with a copy of the prompt in every row": ("forward preallocated",),
}
TEMPERATURES = (0.3, 0.6, 0.9, 1.2, 1.5)


def load(name: str) -> Any:
    """The model of that name, in evaluation mode."""
    torch.manual_seed(0)
    if name == "llama4m":
        shape = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4, "num_attention_heads": 8}
        return AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=2048, **shape)).eval()
    if name == "gpt2-124m":
        return AutoModelForCausalLM.from_config(GPT2Config()).eval()
    return AutoModelForCausalLM.from_pretrained(FOX_PATH if name == "fox" else name).eval()


@dataclass(frozen=True)
class Ends:
    """What the engine asks a tokenizer for: where texts end, and what pads."""

    eos_token_id: list[int]
    pad_token_id: int = 0


class Sweep:
    """One prompt, every policy, `samples` rows each; texts end at the ids of `ends` alone."""

    def __init__(self, model: Any, prompt_tokens: int, samples: int, new_tokens: int, ends: Sequence[int] = ()) -> None:
        self.model, self.new_tokens = model, new_tokens
        model.generation_config.eos_token_id = None  # else those of the model end texts
        self.engine = LocalEngine(model, Ends(list(ends)))
        prompt = tuple(torch.randint(5, model.config.vocab_size, (prompt_tokens,)).tolist())
        policies = range(len(TEMPERATURES))
        self.rows = [DecodeRow(prompt, policy, 1000 * policy + s) for policy in policies for s in range(samples)]
        self.policies = [self._policy(temperature) for temperature in TEMPERATURES]
        self.options: dict[str, Any] = {"max_new_tokens": new_tokens, "eos_token_ids": list(ends), "pad_token_id": 0}

    @staticmethod
    def _policy(temperature: float) -> Callable[[int], FixedTemperatureLogitsWarper]:
        return lambda prompt_length: FixedTemperatureLogitsWarper(temperature, prompt_length=prompt_length)

    def _generate(self, rows: list[DecodeRow]) -> None:
        for _ in decode_with_generate(self.model, rows, self.policies, **self.options):
            pass

    def loop(self, count: int) -> float:
        """Seconds for all rows, judged from `count` of them spread over the policies."""
        some = self.rows[:: max(1, len(self.rows) // count)][:count]
        seconds = sum(timed(lambda row=row: self._generate([row])) for row in some)
        return seconds * len(self.rows) / len(some)

    def policy(self) -> float:
        """Seconds for one generate() per policy."""
        return timed(lambda: self._generate(self.rows))

    def ours(self) -> float:
        """Seconds for `LocalEngine.draw`."""
        return timed(lambda: list(self.engine.draw(self.rows, self.policies, DrawOptions(self.new_tokens))))

    def decode(self) -> float:
        """Seconds for `decode`."""
        return timed(lambda: list(decode(self.model, self.rows, self.policies, **self.options)))

    @torch.inference_mode()
    def forward(self, kind: str) -> float:
        """Seconds for the forward passes of all rows: prefill, expansion, and one token at a time."""
        prompt = torch.tensor([self.rows[0].prompt_ids])
        count, width = len(self.rows), prompt.shape[1]

        def run() -> None:
            start = prefill(self.model, prompt.tolist(), max_new_tokens=self.new_tokens, pad_token_id=0)
            cache = self._cache(kind, start, count, width)
            token = start.logits.argmax(-1, keepdim=True).expand(count, 1).contiguous()
            for step in range(self.new_tokens - 1):
                position = torch.full((count, 1), width + step)
                self.model(token, past_key_values=cache, position_ids=position, use_cache=True)

        return timed(run)

    def _cache(self, kind: str, start: Any, count: int, width: int) -> Any:
        index, capacity = torch.zeros(count, dtype=torch.long), width + self.new_tokens
        if kind == "dynamic":
            start.cache.batch_repeat_interleave(count)
        elif kind == "preallocated":
            share_out(start, index, capacity)
        else:
            cache = StaticCache(config=self.model.config, max_cache_len=capacity)
            for number, layer in enumerate(start.cache.layers):
                cache.update(layer.keys[index], layer.values[index], number)
            return cache
        assert isinstance(start.cache, DynamicCache)
        return start.cache


def timed(work: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare(sweep: Sweep, repeats: int, loop: int) -> dict[str, list[float]]:
    """Seconds of every way, `repeats` times in turn, after one warm-up of ours."""
    ways: dict[str, Callable[[], float]] = {
        "loop": lambda: sweep.loop(loop),
        "policy": sweep.policy,
        "ours": sweep.ours,
        "decode": sweep.decode,
        "forward dynamic": lambda: sweep.forward("dynamic"),
        "forward static": lambda: sweep.forward("static"),
        "forward preallocated": lambda: sweep.forward("preallocated"),
    }
    sweep.ours()
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            seconds[way].append(run())
    return seconds


def print_table(title: str, seconds: dict[str, list[float]], tokens: int) -> None:
    """Medians, tokens per second, and the time of each way over the time of ours."""
    print(title)
    for way, values in seconds.items():
        ratio = statistics.median(value / ours for value, ours in zip(values, seconds["ours"], strict=True))
        median = statistics.median(values)
        print(f"  {way:<22}{median:8.2f} s {tokens / median:9.0f} tokens/s   {ratio:6.2f} x ours", flush=True)
    for floor, ways in FLOORS.items():
        best = min((seconds[way] for way in ways), key=statistics.median)
        share = statistics.median(ours / passes for ours, passes in zip(seconds["ours"], best, strict=True))
        print(f"  ours takes {share:.2f} of the time of the forward passes alone on {floor}", flush=True)


def early_finish(model: Any, repeats: int, samples: int) -> None:
    """Rows that end after 0 to 64 tokens: as a run draws them, in one batch whose ended rows are dropped, and in one that keeps them."""
    from temp_processors.engines.decoding import decode as decoding

    sweep = Sweep(model, 16, samples, 64, range(model.config.vocab_size // 24))
    found = list(decode(model, sweep.rows, sweep.policies, **sweep.options))
    lengths = sorted(len(done.token_ids) for done in found)
    sweep.ours()
    usual, dropping, keeping = decoding.COMPACT_AT, [], []
    for _ in range(repeats):
        ours = sweep.ours()
        dropping.append(sweep.decode() / ours)
        decoding.COMPACT_AT = float("inf")
        keeping.append(sweep.decode() / ours)
        decoding.COMPACT_AT = usual
    quartiles = [lengths[len(lengths) * part // 4] for part in (1, 2, 3)]
    print(f"  rows of {lengths[0]} to {lengths[-1]} tokens (quartiles {quartiles}): ours is", end=" ")
    print(f"{statistics.median(keeping):.2f} times as fast as keeping ended rows", end=", ")
    print(f"{statistics.median(dropping):.2f} times as fast as dropping them")


def main() -> None:
    """Read the options and print one table per model and prompt length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["llama4m"])
    parser.add_argument("--prompt-tokens", nargs="+", type=int, default=[16, 256])
    parser.add_argument("--samples", type=int, default=32, help="per policy")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loop", type=int, default=5, help="samples of the loop that are timed")
    parser.add_argument("--early", action="store_true", help="also rows that end early")
    options = parser.parse_args()
    transformers_logging.set_verbosity(logging.ERROR)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in options.models:
        model = load(name)
        limit = getattr(model.config, "max_position_embeddings", None) or 1 << 30
        for tokens in options.prompt_tokens:
            if tokens + options.new_tokens > limit:
                print(f"{name}: {tokens} prompt tokens do not fit into its context of {limit}")
                continue
            sweep = Sweep(model, tokens, options.samples, options.new_tokens)
            seconds = compare(sweep, options.repeats, options.loop)
            print_table(
                f"{name}, {tokens} prompt tokens, {len(sweep.rows)} rows x {options.new_tokens} tokens",
                seconds,
                len(sweep.rows) * options.new_tokens,
            )
        if options.early:
            early_finish(model, options.repeats, options.samples)


if __name__ == "__main__":
    main()
