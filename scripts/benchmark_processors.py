"""What every policy costs, beside transformers' own temperature warper, a memory copy and the straightforward entropy.

    python scripts/benchmark_processors.py
    python scripts/benchmark_processors.py --quick --device cuda
    python scripts/benchmark_processors.py --only top_p --only typical_p
    python scripts/benchmark_processors.py --peers --threads 1

Each line is the median of alternated runs, in milliseconds, and its ratio to transformers' `TemperatureLogitsWarper`
and to the straightforward dynamic temperature (softmax, logarithm, product with masks, sum) at the same size. Memory is
the most that one call holds beyond what was there before, its result included, in MiB. With `--peers` there are lines of the same
formulas in llama.cpp and text-generation-webui (see peer_samplers.py), with the share of their time that ours takes.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peer_samplers import peers
from torch import Tensor
from transformers import TemperatureLogitsWarper

from temp_processors import SeededSampling, build_policy

BATCHES = (1, 8, 64)
VOCABULARIES = (2_048, 50_257, 151_936)
FIXED = {"kind": "fixed", "temperature": 0.7}
LINEAR = {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 50}
DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}
POLICIES: dict[str, dict[str, Any]] = {
    "fixed": FIXED,
    "scheduled": LINEAR,
    "annealed": {"kind": "annealed", "decay": 50},
    "dynamic": DYNAMIC,
    "edt": {"kind": "edt", "temperature": 1.0, "theta": 0.3},
    "entropy_threshold": {"kind": "entropy_threshold", "low": 0.6, "high": 1.2},
    "entropy_target": {"kind": "entropy_target", "entropy": 2.0},
    "adaptive_sharpening": {"kind": "adaptive_sharpening"},
    "phase": {"kind": "phase", "open_ids": [3], "close_ids": [4], "inside": DYNAMIC, "outside": FIXED},
    "block_start": {"kind": "block_start", "newline_ids": [3], "indent_ids": [4]},
    "quadratic": {"kind": "quadratic", "factor": 0.3},
    "top_p_decay": {"kind": "top_p_decay"},
    "product": {"kind": "product", "policies": [LINEAR, DYNAMIC]},
    "truncate_then_temper": {"kind": "truncate_then_temper", "top_k": 50, "policy": FIXED},
    "chain": {"kind": "chain", "steps": [DYNAMIC, {"kind": "min_p", "min_p": 0.05}]},
    "generate": {"kind": "generate", "temperature": 0.6, "top_k": 20, "top_p": 0.95},
    "top_k": {"kind": "top_k", "top_k": 50},
    "top_p": {"kind": "top_p", "top_p": 0.9},
    "min_p": {"kind": "min_p", "min_p": 0.05},
    "typical_p": {"kind": "typical_p", "typical_p": 0.9},
    "top_h": {"kind": "top_h", "top_h": 0.4},
    "epsilon": {"kind": "epsilon", "epsilon_cutoff": 0.0003},
    "eta": {"kind": "eta", "eta_cutoff": 0.0003},
    "top_n_sigma": {"kind": "top_n_sigma"},
    "p_less": {"kind": "p_less"},
    "min_k": {"kind": "min_k"},
    "ees": {"kind": "ees"},
    "xtc": {"kind": "xtc"},
}
LEAST_SECONDS = 1e-4  # for the quickest of the calls
Call = Callable[[Tensor, Tensor], Tensor]


def straightforward(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Dynamic temperature as one writes it down: every intermediate is a tensor of the size of the scores."""
    probs = torch.softmax(scores, dim=-1)
    surprise = torch.log(probs)
    terms = torch.where(probs > 0, probs * surprise, torch.zeros_like(probs))
    entropy = -terms.sum(dim=-1, keepdim=True)
    count = torch.isfinite(scores).sum(dim=-1, keepdim=True)
    return scores / (0.5 + 1.0 * entropy / torch.log(count))


def candidates(batch: int, only: Sequence[str]) -> dict[str, Call]:
    """What is measured, the three yardsticks first: all policies, or `only` these."""
    chosen = {name: POLICIES[name] for name in only or POLICIES}
    return {
        "memory copy": lambda input_ids, scores: scores.clone(),
        "transformers": TemperatureLogitsWarper(0.7),
        "straightforward": straightforward,
        **{name: build_policy(config, prompt_length=8) for name, config in chosen.items()},
        "multinomial": lambda input_ids, scores: torch.multinomial(scores.softmax(-1), 1),
        "seeded sampling": SeededSampling(range(batch), prompt_length=8),
    }


def seconds(call: Call, input_ids: Tensor, scores: Tensor, repeats: int = 1) -> float:
    """Time of one call, the device's work included: of `repeats` in a row, a share of it."""
    wait = torch.cuda.synchronize if scores.is_cuda else lambda: None
    wait()
    begin = time.perf_counter()
    for _ in range(repeats):
        call(input_ids, scores)
    wait()
    return (time.perf_counter() - begin) / repeats


def medians(calls: dict[str, Call], input_ids: Tensor, scores: Tensor, budget: float) -> dict[str, float]:
    """Median milliseconds of every call, one of each a round in changing order, for `budget` seconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(2):
        for call in calls.values():
            call(input_ids, scores)
    # A clock is too coarse for one call of some microseconds.
    repeats = max(1, round(LEAST_SECONDS / seconds(calls["transformers"], input_ids, scores, 10)))
    stop = time.perf_counter() + budget
    while len(times["transformers"]) < 7 or (time.perf_counter() < stop and len(times["transformers"]) < 300):
        for name in random.sample(list(calls), len(calls)):
            times[name].append(seconds(calls[name], input_ids, scores, repeats))
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def resident(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def extra_memory(call: Call, input_ids: Tensor, scores: Tensor) -> float | None:
    """Most MiB held during one call beyond those before it; None where the system does not tell."""
    if scores.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call(input_ids, scores)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    reset.write_text("5")
    before = resident("VmRSS")
    call(input_ids, scores)
    return max(0, resident("VmHWM") - before) / 2**20


@torch.no_grad()  # as generate() runs them
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fixed and dynamic only, at batch 8")
    parser.add_argument("--only", action="append", default=[], choices=POLICIES, help="this policy; may be given again")
    parser.add_argument("--peers", action="store_true", help="the same in other samplers; on the CPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=3.0, help="per size")
    options = parser.parse_args()
    if options.peers and options.device != "cpu":
        parser.error("--peers: llama.cpp's samplers are on the CPU; leave --device out")
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads")
    columns = ["batch", "vocabulary", "policy", "ms", "of transformers", "of straightforward", "extra MiB"]
    columns += ["ours takes of it"] if options.peers else []
    print(f"| {' | '.join(columns)} |\n|" + "---|" * len(columns))
    for batch in (8,) if options.quick else BATCHES:
        for vocabulary in VOCABULARIES:
            table(batch, vocabulary, options)


def table(batch: int, vocabulary: int, options: argparse.Namespace) -> None:
    """The lines of one size."""
    generator = torch.Generator().manual_seed(0)
    scores = (torch.randn(batch, vocabulary, generator=generator) * 3).to(options.device)
    input_ids = torch.randint(vocabulary, (batch, 32), generator=generator).to(options.device)
    own = candidates(batch, ("fixed", "dynamic") if options.quick else options.only)
    others = peers(list(own)) if options.peers else {}
    whose = {peer: name for name, found in others.items() for peer in found}
    calls = {**own, **{peer: call for found in others.values() for peer, call in found.items()}}
    took = medians(calls, input_ids, scores, options.seconds)
    for name, call in calls.items():
        memory = extra_memory(call, input_ids, scores)
        ratios = f"{took[name] / took['transformers']:.2f} | {took[name] / took['straightforward']:.2f}"
        held = "" if memory is None else f"{memory:.1f}"
        share = f" {took[whose[name]] / took[name]:.2f} |" if name in whose else " |" if options.peers else ""
        print(f"| {batch} | {vocabulary} | {name} | {took[name]:.3f} | {ratios} | {held} |{share}", flush=True)


if __name__ == "__main__":
    main()
