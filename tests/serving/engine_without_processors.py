"""Ask an engine for the first token: `python tests/serving/engine_without_processors.py v1|v2 [named]`, log-probabilities as JSON.

Two requests in one batch, one of them under a policy. `named`: the engine is given the class too.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.update(VLLM_CPU_KVCACHE_SPACE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR")
os.environ["TORCH_COMPILE_DISABLE"] = "1"

if sys.argv[1] == "v2":
    import tests.serving.model_runner_v2  # noqa: F401  (makes V2 run here)

from vllm import LLM, SamplingParams

from temp_processors.fox import FOX_PATH
from tests.serving.forced import PROMPTS

POLICY = {"temperature_policy": {"kind": "fixed", "temperature": 0.5}}


def main(runner: str, named: str = "") -> None:
    """Print a list of {token id: log-probability after the processors}, one a request."""
    more = {"logits_processors": ["temp_processors.vllm:TemperaturePolicyLogitsProcessor"]} if named else {}
    llm = LLM(
        str(FOX_PATH), dtype="float32", enforce_eager=True, max_model_len=64, logprobs_mode="processed_logprobs", **more
    )
    assert llm.llm_engine.vllm_config.use_v2_model_runner == (runner == "v2")
    settings = [
        SamplingParams(temperature=1.0, max_tokens=1, logprobs=5, seed=1, detokenize=False, extra_args=extra)
        for extra in (POLICY, None)
    ]
    done = llm.generate([{"prompt_token_ids": PROMPTS[0]}] * 2, settings, use_tqdm=False)
    print(json.dumps([{token: one.logprob for token, one in text.outputs[0].logprobs[0].items()} for text in done]))


if __name__ == "__main__":
    main(*sys.argv[1:])
