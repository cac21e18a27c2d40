"""What the processor costs inside vLLM: tokens/s at a constant temperature, the same by a policy, and DynaTemp.

python scripts/benchmark_vllm.py
python scripts/benchmark_vllm.py --model DIR --requests 64 --tokens 128 --rounds 5

Rounds alternate between the three. Beside the rate stands the processor time of the whole process, which other programs
on the machine do not add to; ratios are of medians. Set OMP_NUM_THREADS=1 on a busy machine.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Annotated, Any

import typer

from temp_processors.fox import FOX_PATH

DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}
FIXED = {"kind": "fixed", "temperature": 0.7}
CASES: dict[str, dict[str, Any]] = {
    "constant, vLLM's own": {"temperature": 0.7},
    "constant, by a policy": {"temperature": 1.0, "extra_args": {"temperature_policy": FIXED}},
    "dynamic": {"temperature": 1.0, "extra_args": {"temperature_policy": DYNAMIC}},
}


def main(
    model: Annotated[str, typer.Option(help="Model folder or name.")] = str(FOX_PATH),
    requests: Annotated[int, typer.Option(help="Requests in one batch.")] = 32,
    tokens: Annotated[int, typer.Option(help="New tokens of each.")] = 64,
    rounds: Annotated[int, typer.Option(help="Times that each case is measured.")] = 5,
) -> None:
    """Print tokens/s of each case and its time as a multiple of vLLM's own constant temperature."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=model,
        dtype="float32",
        enforce_eager=True,
        max_model_len=512,
        logits_processors=["temp_processors.vllm:TemperaturePolicyLogitsProcessor"],
    )
    prompts = [{"prompt_token_ids": [1, 270, 404, 405, 295]}] * requests
    wall: dict[str, list[float]] = {name: [] for name in CASES}
    processor: dict[str, list[float]] = {name: [] for name in CASES}
    for measured in [False, *[True] * rounds]:  # the first round warms up
        for name, settings in CASES.items():
            params = [
                SamplingParams(**settings, seed=i, max_tokens=tokens, ignore_eos=True, detokenize=False)
                for i in range(requests)
            ]
            start, used = time.perf_counter(), time.process_time()
            llm.generate(prompts, params, use_tqdm=False)
            if measured:
                wall[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - used)
    first = next(iter(CASES))
    for name in CASES:
        seconds, work = statistics.median(wall[name]), statistics.median(processor[name])
        print(
            f"{name:24} {requests * tokens / seconds:8.0f} tokens/s  x {seconds / statistics.median(wall[first]):.3f}"
            f"   processor time x {work / statistics.median(processor[first]):.3f}"
        )


if __name__ == "__main__":
    typer.run(main)
