"""Peak memory and time of log-probabilities under a policy, forward and backward, in chunks and as one writes it down.

    python scripts/benchmark_log_probs.py
    python scripts/benchmark_log_probs.py --device cuda --hidden 4096 --dtype bfloat16 --rounds 5

Every number is made in a process of its own, after one small pass; the sides take turns, a line is the median of all rounds. Memory is
the most that was held beyond hidden states and head. What needs more than 0.7 of the free memory is not run, nor is a peer that is not
installed (TRL, and Liger's kernels, which need a GPU), and its line says so.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from benchmark_processors import resident
from torch import Tensor

from temp_processors import build_policy, log_probs_from_hidden

POLICIES = {
    "fixed": {"kind": "fixed", "temperature": 0.7},
    "dynamic": {"kind": "dynamic", "temperature": 1.0, "range": 0.5},
}
HELD = {"straightforward": {"fixed": 4, "dynamic": 9}, "trl": {"fixed": 5}, "liger": {"fixed": 0}, "chunked": {}}
"""Tensors of the size of all scores that a side holds at its peak, to know before whether it fits."""
PEERS = {"trl": "trl", "liger": "liger_kernel"}
"""Sides that are other packages."""
Side = Callable[[Tensor, Tensor, Tensor], Tensor]


def straightforward(name: str, hidden: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    """The formula, written down: every intermediate has the size of all scores."""
    scores = hidden @ head.T
    if name == "fixed":
        tempered = scores / 0.7
    else:
        probs = torch.softmax(scores, dim=-1)
        entropy = -torch.where(probs > 0, probs * torch.log(probs), 0.0).sum(dim=-1, keepdim=True)
        tempered = scores / (0.5 + entropy / torch.log(torch.isfinite(scores).sum(dim=-1, keepdim=True)))
    return torch.log_softmax(tempered, dim=-1).gather(-1, ids[:, 1:, None])[..., 0]


def trl(name: str, hidden: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    """What the trainers of TRL compute, which know one temperature."""
    from trl.trainer.utils import selective_log_softmax

    scores = hidden @ head.T
    found: Tensor = selective_log_softmax(scores.div_(0.7), ids[:, 1:])
    return found


def liger(name: str, hidden: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    """Liger's head and cross-entropy in one, which knows no temperature: hidden states are divided by it before."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    found: Tensor = liger_fused_linear_cross_entropy(hidden[0] / 0.7, head, ids[0, 1:], reduction="none")
    return -found[None]


def chunked(name: str, hidden: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    return log_probs_from_hidden(hidden, head, ids, build_policy(POLICIES[name]))


def chunked_stop(name: str, hidden: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    """Without the gradient through the temperature."""
    return log_probs_from_hidden(hidden, head, ids, build_policy(POLICIES[name]), temperature_gradient="stop")


SIDES = {
    "straightforward": straightforward,
    "trl": trl,
    "liger": liger,
    "chunked": chunked,
    "chunked, stop": chunked_stop,
}


def one(options: argparse.Namespace) -> None:
    """A side in this process; prints seconds and MiB as JSON."""
    generator = torch.Generator().manual_seed(0)
    place = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    head = (torch.randn(options.vocabulary, options.hidden, generator=generator) * 0.3).to(**place).requires_grad_()
    hidden = torch.randn(1, options.one, options.hidden, generator=generator).to(**place).requires_grad_()
    ids = torch.randint(options.vocabulary, (1, options.one + 1), generator=generator).to(options.device)
    side = partial(SIDES[options.side], options.policy)
    side(hidden[:, :32], head, ids[:, :33]).sum().backward()
    head.grad = hidden.grad = None
    held = peak_above(options.device)
    times = [now(options.device)]
    found = side(hidden, head, ids)
    times.append(now(options.device))
    found.sum().backward()
    times.append(now(options.device))
    print(json.dumps({"forward": times[1] - times[0], "both": times[2] - times[0], "MiB": held()}))


def now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_above(device: str) -> Callable[[], float]:
    """Begins to watch; called later, the most MiB held since, beyond what is held now."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        begin = torch.cuda.memory_allocated()
        return lambda: (torch.cuda.max_memory_allocated() - begin) / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    return lambda: max(0, resident("VmHWM") - before) / 2**20


def free_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024  # type: ignore[index]


def measured(side: str, policy: str, tokens: int, arguments: list[str]) -> dict[str, float]:
    """[`one`] in a process of its own."""
    command = [sys.executable, __file__, "--one", str(tokens), "--side", side, "--policy", policy, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def why_not(side: str, policy: str, tokens: int, options: argparse.Namespace) -> str | None:
    """Why a side cannot be measured here; None where it can."""
    if side in PEERS and find_spec(PEERS[side]) is None:
        return f"{PEERS[side]} is not installed"
    if side == "liger" and options.device == "cpu":
        return "needs a GPU"
    needs = HELD.get(side, {}).get(policy, 0) * getattr(torch, options.dtype).itemsize * tokens * options.vocabulary
    return f"needs some {needs / 2**30:.0f} GiB" if needs > 0.7 * free_bytes(options.device) else None


def table(policy: str, tokens: int, options: argparse.Namespace) -> None:
    """The lines of one policy and length."""
    sides = [side for side in SIDES if policy in HELD.get(side, POLICIES) or side == "chunked"]
    if policy == "fixed":
        sides.remove("chunked, stop")
    runs: dict[str, list[dict[str, float]]] = {}
    for side in sides:
        if (reason := why_not(side, policy, tokens, options)) is None:
            runs[side] = []
        else:
            print(f"| {policy} | {tokens:,} | {side} | not run: {reason} | | |", flush=True)
    given = {name: getattr(options, name) for name in ("device", "dtype", "hidden", "vocabulary")}
    arguments = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    for turn in range(options.rounds):
        for side in list(runs) if turn % 2 else reversed(runs):
            runs[side].append(measured(side, policy, tokens, arguments))
    medians = {
        side: {name: statistics.median(run[name] for run in found) for name in found[0]} for side, found in runs.items()
    }
    base = medians.get("straightforward")
    for side, found in medians.items():
        times = " | ".join(
            f"{found[name]:.2f}" + (f" ({found[name] / base[name]:.2f})" if base else "")
            for name in ("forward", "both")
        )
        print(f"| {policy} | {tokens:,} | {side} | {times} | {found['MiB']:,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 2_048, 8_192])
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--rounds", type=int, default=3)
    for name in ("--one", "--side", "--policy"):
        parser.add_argument(name, type=int if name == "--one" else str, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    tables(options)


def tables(options: argparse.Namespace) -> None:
    """The lines of every policy and length; `options` has policies, device, dtype, tokens, vocabulary, hidden and rounds."""
    print(f"{options.device}, {options.dtype}, vocabulary {options.vocabulary:,}, hidden size {options.hidden:,}\n")
    heads = ("policy", "tokens", "side", "forward, s (x straightforward)", "with backward, s (x)", "MiB")
    print(f"| {' | '.join(heads)} |\n|---|--:|---|---|---|--:|")
    for policy in options.policies:
        for tokens in options.tokens:
            table(policy, tokens, options)


if __name__ == "__main__":
    main()
