"""Time `kind: power` by particles against as many plain texts: what weighing, resampling and copying cost beside the model.

    python scripts/benchmark_power.py
    python scripts/benchmark_power.py --models fox llama4m --prompt-tokens 16 256 --particles 32 --repeats 7

plain    `particles` x `texts` texts at T = 1 in one batch, by temp_processors.engines.decoding.decode
smc      `texts` texts of `particles` particles each, alpha 4, by temp_processors.engines.decoding.power

No text ends early, so both draw the same number of tokens. Both are timed in turn, `--repeats` times, after one turn that does not
count; the ratio is the median of the ratios within each turn. Times are those of the whole drawing, the forward passes among them.
Models: `fox`, `llama4m` (random weights), or a folder or Hub id.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.power.decode import decode_power
from temp_processors.engines.engine import Decoded, DecodeRow
from temp_processors.fox import FOX_PATH
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.power import PowerPolicy


def load(name: str) -> Any:
    """The model of that name, in evaluation mode."""
    torch.manual_seed(0)
    if name == "llama4m":
        shape = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4, "num_attention_heads": 8}
        return AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=2048, **shape)).eval()
    return AutoModelForCausalLM.from_pretrained(FOX_PATH if name == "fox" else name).eval()


def seconds(draw: Callable[[], Iterator[Decoded]]) -> float:
    """Wall time of drawing everything."""
    start = time.perf_counter()
    for _ in draw():
        pass
    return time.perf_counter() - start


def compare(model: Any, prompt_tokens: int, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Median seconds of both, and the median ratio."""
    prompt = tuple(torch.randint(5, model.config.vocab_size, (prompt_tokens,)).tolist())
    count, options = arguments.particles, {"max_new_tokens": arguments.new_tokens, "pad_token_id": 0}
    plain = [DecodeRow(prompt, 0, seed) for seed in range(count * arguments.texts)]
    texts = [DecodeRow(prompt, 0, seed) for seed in range(arguments.texts)]
    power = PowerPolicy(alpha=4.0, particles=count)

    def at_one(length: int) -> FixedTemperatureLogitsWarper:
        return FixedTemperatureLogitsWarper(1.0, prompt_length=length)

    turns = []
    for _ in range(1 + arguments.repeats):
        one = seconds(lambda: decode(model, plain, [at_one], eos_token_ids=[], **options))
        other = seconds(lambda: decode_power(model, texts, power, eos_token_ids=[], batch_size=len(plain), **options))
        turns.append((one, other))
    kept = turns[1:]
    ratio = statistics.median(other / one for one, other in kept)
    return statistics.median(one for one, _ in kept), statistics.median(other for _, other in kept), ratio


def main() -> None:
    """Print one row for every model and prompt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fox", "llama4m"])
    parser.add_argument("--prompt-tokens", nargs="+", type=int, default=[16, 256])
    parser.add_argument("--particles", type=int, default=32)
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    print(f"| model | prompt | {arguments.particles} x plain, s | smc, s | smc / ({arguments.particles} x plain) |")
    print("|---|--:|--:|--:|--:|")
    for name in arguments.models:
        model = load(name)
        for prompt_tokens in arguments.prompt_tokens:
            plain, smc, ratio = compare(model, prompt_tokens, arguments)
            print(f"| {name} | {prompt_tokens} | {plain:.2f} | {smc:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
