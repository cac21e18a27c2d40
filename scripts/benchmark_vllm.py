"""What the processor costs inside vLLM: tokens/s at a constant temperature, the same by a policy, and DynaTemp.

python scripts/benchmark_vllm.py
python scripts/benchmark_vllm.py --model DIR --requests 64 --tokens 128 --rounds 5

Rounds alternate between the three, so that a busy machine slows all of them; the ratio is of the medians.
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
    os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")
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
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for measured in [False, *[True] * rounds]:  # the first round warms up
        for name, settings in CASES.items():
            params = [
                SamplingParams(**settings, seed=i, max_tokens=tokens, ignore_eos=True, detokenize=False)
                for i in range(requests)
            ]
            start = time.perf_counter()
            llm.generate(prompts, params, use_tqdm=False)
            if measured:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = next(iter(medians.values()))
    for name, value in medians.items():
        print(f"{name:24} {requests * tokens / value:8.0f} tokens/s  x {value / base:.3f}")


if __name__ == "__main__":
    typer.run(main)
