"""Draw on vLLM's Model Runner V2 and keep what the processor saw: `python tests/serving/model_runner_v2.py OUT.pt plain|guesses|coupled`.

V2 needs Triton. Where there is no GPU, its kernels run in Triton's own interpreter on the CPU (`TRITON_INTERPRET=1`): the model
runner, its sampler, its rejection sampler and its tables of tokens are vLLM's own code, only slow. A process of its own, because
Triton and vLLM decide that at their import.
"""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, ClassVar

os.environ.update(
    VLLM_USE_V2_MODEL_RUNNER="1",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_CPU_KVCACHE_SPACE="1",
    VLLM_LOGGING_LEVEL="ERROR",
    TORCH_COMPILE_DISABLE="1",
)

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
    import triton.backends

    triton.backends.backends.setdefault(
        "cpu", SimpleNamespace(driver=None)
    )  # vLLM looks for this name before it uses Triton

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.engine import DecodeRow
from temp_processors.engines.vllm_local import decode_with_vllm
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.serving.rows import policy_of_request
from temp_processors.serving.vllm import TemperaturePolicyLogitsProcessor
from tests.serving.forced import PROMPTS
from tests.serving.request_policies import REQUEST_POLICIES

REQUESTS = [*REQUEST_POLICIES, None, None, None]
GUESSES = {"method": "draft_model", "model": str(FOX_PATH), "num_speculative_tokens": 3}


class Recording(TemperaturePolicyLogitsProcessor):
    """Keeps, for every row of every step, whose it was, where it stood, what it was fed, and its scores before and after."""

    steps: ClassVar[list[list[tuple[Any, ...]]]] = []
    names: ClassVar[dict[int, str]] = {id(policy_of_request(spec)): name for name, spec in REQUEST_POLICIES.items()}

    def apply(self, logits: torch.Tensor, ctx: Any = None) -> torch.Tensor:
        before = logits.clone()
        after = super().apply(logits, ctx)
        slots, policies = ctx.expanded_idx_mapping.tolist(), self.slots.policies
        names = [self.names.get(id(policies[slot])) if slot in policies else None for slot in slots]
        places = ctx.pos.tolist(), ctx.expanded_local_pos.tolist(), ctx.input_ids.tolist()
        self.steps.append(list(zip(names, slots, *places, before.cpu(), after.cpu().clone(), strict=True)))
        return after


def params(policy: Any, seed: int, max_tokens: int) -> Any:
    from vllm import SamplingParams

    extra = {} if policy is None else {"extra_args": {"temperature_policy": policy}}
    return SamplingParams(temperature=1.0, seed=seed, max_tokens=max_tokens, detokenize=False, **extra)


def generate(llm: Any, prompts: list[list[int]], settings: list[Any]) -> list[list[int]]:
    done = llm.generate([{"prompt_token_ids": ids} for ids in prompts], settings, use_tqdm=False)
    return [list(request.outputs[0].token_ids) for request in done]


def coupled() -> list[tuple[str, int, list[int]]]:
    """The texts of a whole experiment with `coupled: true`: policy, sample and tokens."""
    data = {
        "name": "coupled",
        "prompts": ["The quick brown fox"],
        "samples_per_prompt": 12,
        "max_new_tokens": 4,
        "coupled": True,
        "policies": [{"name": str(t), "kind": "fixed", "temperature": t} for t in (2.0, 2.02)],
        "engine": "vllm",
        "engine_options": {"dtype": "float32", "enforce_eager": True, "max_model_len": 64},
        "metrics": ["distinct_2"],
    }
    with TemporaryDirectory() as folder:
        run = run_experiment(ExperimentConfig.model_validate({**data, "out": f"{folder}/run"}))
        return [(sample.policy, sample.sample_id, list(sample.token_ids)) for sample in run.samples]


def main(out: str, kind: str) -> None:
    """One batch of every policy, more requests than slots; without guesses also draws that share seeds, and our own rows."""
    if kind == "coupled":
        torch.save(coupled(), out)
        return
    from vllm import LLM

    more = {"speculative_config": GUESSES} if kind == "guesses" else {}
    llm = LLM(
        str(FOX_PATH),
        dtype="float32",
        enforce_eager=True,
        max_model_len=128,
        max_num_seqs=5,
        logits_processors=[Recording],
        **more,
    )
    assert llm.llm_engine.vllm_config.use_v2_model_runner
    Recording.steps.clear()
    prompts = [PROMPTS[place % len(PROMPTS)] for place in range(len(REQUESTS))]
    specs = [None if name is None else REQUEST_POLICIES[name] for name in REQUESTS]
    settings = [params(spec, place, 6 + place % 5) for place, spec in enumerate(specs)]
    found = {"prompts": prompts, "texts": generate(llm, prompts, settings), "steps": list(Recording.steps)}
    if kind == "plain":
        Recording.steps.clear()
        generate(llm, PROMPTS[:1] * 2, [params(None, seed, 4) for seed in (1, 2)])
        found["called_without_a_policy"] = len(Recording.steps)
        for name, temperature in {"near": 1.02, "one": 1.0}.items():
            spec = {"kind": "fixed", "temperature": temperature}
            found[name] = generate(llm, PROMPTS * 4, [params(spec, seed, 3) for seed in range(16)])
        spec = {"kind": "fixed", "temperature": 1.0}
        found["other_seeds"] = generate(llm, PROMPTS * 4, [params(spec, seed, 3) for seed in range(100, 116)])
        rows = [DecodeRow(tuple(prompt), 0, 3) for prompt in PROMPTS]
        done = decode_with_vllm(llm, rows, [REQUEST_POLICIES["fixed"]], max_new_tokens=12, eos_token_ids=[2])
        found["rows"] = [(row.row, row.token_ids, row.finish_reason, row.log_prob) for row in done]
    torch.save(found, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
