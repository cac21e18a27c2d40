"""On a GPU: policies against a copy on the device, the engine against its peers, log-probabilities against TRL's and Liger's.

    python scripts/benchmark_gpu.py
    python scripts/benchmark_gpu.py --part policies --only dynamic --only edt
    python scripts/benchmark_gpu.py --part engine --model Qwen/Qwen2.5-0.5B --vllm .venv-vllm/bin/python
    python scripts/benchmark_gpu.py --device cpu --quick

`policies`: one call of every policy over a copy of the scores on the device, as it is and by `torch.compile` (the policies of
`--compiled`), at 1, 8, 64 x 2,048, 50,257, 151,936 in float32 and bfloat16; at most 1.5 times is aimed at, and what misses it is listed.
`engine`: the prompts of benchmark_engines.py through this engine, `generate`, `generate_batch` and, with `--vllm`, vLLM with n > 1.
`log_probs`: the sides of benchmark_log_probs.py. Sides take turns, numbers are medians, losses are printed like wins. Without a GPU the
script says so and ends with exit code 2; `--device cpu --quick` runs all of it on the CPU at small sizes, which proves that it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import benchmark_log_probs
import torch
from benchmark_engines import LENGTHS, Peers, rates_of, sides_of, tell
from benchmark_processors import BATCHES, POLICIES, VOCABULARIES, Call, candidates, extra_memory, medians

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.local import LocalEngine

AIM = 1.5
"""Times of a copy on the device that a policy may take."""
DTYPES = ("float32", "bfloat16")
COMPILED = ("fixed", "scheduled", "dynamic", "edt", "entropy_target", "quadratic", "min_p")
"""Policies that are compiled too: few kernels of one row each; a compilation takes seconds."""


def compiled(policy: Call) -> Call:
    """The policy through `torch.compile`, for any batch and vocabulary at once."""
    found: Call = torch.compile(policy, dynamic=True)
    return found


def calls_of(batch: int, options: argparse.Namespace) -> dict[str, Call]:
    """The calls of `candidates`, and those of `--compiled` once more behind them."""
    calls = candidates(batch, options.only)
    again = [name for name in options.compiled if name in calls]
    return {**calls, **{f"{name}, compiled": compiled(calls[name]) for name in again}}


def running(calls: dict[str, Call], input_ids: torch.Tensor, scores: torch.Tensor) -> Iterator[tuple[str, Call]]:
    """The calls that run; of one that does not compile a line says why."""
    for name, call in calls.items():
        try:
            call(input_ids, scores)
        except torch._dynamo.exc.TorchDynamoException as error:
            print(f"{name}: does not compile: {str(error).splitlines()[0]}", flush=True)
        else:
            yield name, call


@torch.no_grad()
def policies(options: argparse.Namespace) -> None:
    """The table of the policies, and what misses the aim."""
    print(
        "| dtype | batch | vocabulary | policy | ms | of a copy | of transformers | MiB |\n|---|--:|--:|---|--:|--:|--:|--:|"
    )
    missed = []
    for dtype in DTYPES:
        for batch in options.batches:
            for vocabulary in options.vocabularies:
                generator = torch.Generator().manual_seed(0)
                scores = (torch.randn(batch, vocabulary, generator=generator) * 3).to(
                    options.device, getattr(torch, dtype)
                )
                input_ids = torch.randint(vocabulary, (batch, 32), generator=generator).to(options.device)
                calls = dict(running(calls_of(batch, options), input_ids, scores))
                took = medians(calls, input_ids, scores, options.seconds)
                for name, call in calls.items():
                    memory = extra_memory(call, input_ids, scores)
                    copy, warper = (took[name] / took[other] for other in ("memory copy", "transformers"))
                    size = f"{dtype} | {batch} | {vocabulary:,} | {name}"
                    held = "" if memory is None else f"{memory:.1f}"
                    print(f"| {size} | {took[name]:.4f} | {copy:.2f} | {warper:.2f} | {held} |", flush=True)
                    missed += [f"{size} | {copy:.2f}"] if name.split(",")[0] in POLICIES and copy > AIM else []
    print(f"\nabove {AIM} times a copy: {len(missed)}")
    for line in missed:
        print(f"  {line}")


def engine(options: argparse.Namespace) -> None:
    """The engine and its peers, in turn."""
    own = LocalEngine.of(ModelSpec(name=options.model, dtype=options.dtype))
    peers = Peers(own, options.batch, options.lengths)
    with sides_of(peers, options) as sides:
        rates = rates_of(sides, options.rounds)
    print(
        f"\n{options.model}, {options.dtype}, {own.model.device}, {'continuous' if own.lean is not None else 'whole batches'}"
    )
    tell(rates)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "policies": policies,
    "engine": engine,
    "log_probs": benchmark_log_probs.tables,
}
QUICK: dict[str, Any] = {
    "batches": (8,),
    "vocabularies": (2_048,),
    "only": ["fixed", "dynamic"],
    "compiled": ["dynamic"],
    "seconds": 0.05,
    "rounds": 1,
    "policies": ["fixed"],
    "tokens": [64],
    "hidden": 32,
    "vocabulary": 2_048,
    "model": "fox",
    "lengths": (4, 9, 23),
}
"""What `--quick` sets."""


def parsed() -> argparse.Namespace:
    """The options, or the end of the script where there is no such device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="this part; may be given again")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="small sizes, the model fox")
    parser.add_argument("--only", action="append", default=[], choices=POLICIES, help="this policy; may be given again")
    parser.add_argument("--compiled", nargs="*", default=list(COMPILED), choices=POLICIES)
    parser.add_argument("--seconds", type=float, default=1.0, help="per size and dtype")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="of engine and log-probabilities")
    parser.add_argument("--batch", type=int, default=128, help="rows of one generate call")
    parser.add_argument("--rounds", type=int, default=3)
    no_batch = "leave out transformers' continuous batching, which takes half a minute on a CPU"
    parser.add_argument("--no-generate-batch", dest="generate_batch", action="store_false", help=no_batch)
    parser.add_argument("--vllm", metavar="PYTHON", help="of the environment that has vLLM")
    parser.set_defaults(batches=BATCHES, vocabularies=VOCABULARIES, lengths=LENGTHS)
    parser.set_defaults(
        policies=list(benchmark_log_probs.POLICIES), tokens=[512, 2_048, 8_192], hidden=4_096, vocabulary=151_936
    )
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: torch sees none (--device cpu --quick tries the script without)", file=sys.stderr)
        raise SystemExit(2)
    return argparse.Namespace(**{**vars(options), **(QUICK if options.quick else {})})


def main() -> None:
    """Run every part that is asked for."""
    options = parsed()
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {name}")
    for part in options.part or PARTS:
        print(f"\n## {part}\n", flush=True)
        PARTS[part](options)


if __name__ == "__main__":
    main()
