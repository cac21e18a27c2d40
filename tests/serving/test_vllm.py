"""The policies on the real vLLM, against `generate` on the same model. Needs the environment of scripts/setup_vllm.sh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch

from temp_processors import build_policy
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.engine import DecodeRow
from temp_processors.fox import FOX_PATH
from temp_processors.metrics import distinct_n, self_bleu
from tests.serving.forced import PROMPTS, SCALING, Forced, Step, measured_temperature
from tests.serving.request_policies import REQUEST_POLICIES

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.filterwarnings("default")]
pytest.importorskip("vllm", reason="vLLM is not in this environment: scripts/setup_vllm.sh makes one")


@pytest.fixture(scope="module")
def llm() -> Iterator[Any]:
    """vLLM in this process, with a processor that also keeps what it saw, in `seen`, by the request's policy."""
    os.environ.update(VLLM_CPU_KVCACHE_SPACE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR")
    os.environ["TORCH_COMPILE_DISABLE"] = "1"  # vLLM compiles one small function on the first step, for 40 seconds
    from vllm import LLM

    from temp_processors.serving.vllm import TemperaturePolicyLogitsProcessor

    class Recording(TemperaturePolicyLogitsProcessor):
        seen: ClassVar[dict[int | None, list[Step]]] = {}

        def apply(self, logits: torch.Tensor) -> torch.Tensor:
            before = logits.clone()
            after = super().apply(logits)
            for row in range(len(before)):
                request = self.rows.requests.get(row)
                key, new = (None, 0) if request is None else (id(request.policy), len(request.output_ids))
                self.seen.setdefault(key, []).append(Step(new, before[row], after[row].clone()))
            return after

    engine = LLM(str(FOX_PATH), dtype="float32", enforce_eager=True, max_model_len=512, logits_processors=[Recording])
    engine.recording = Recording
    Recording.seen.clear()
    yield engine
    engine.llm_engine.engine_core.shutdown()


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(FOX_PATH, dtype=torch.float32).eval()


def params(policy: dict[str, Any] | None, seed: int, max_tokens: int = 16, **more: Any) -> Any:
    from vllm import SamplingParams

    extra = {"extra_args": {"temperature_policy": policy}} if policy is not None else {}
    return SamplingParams(
        **{"temperature": 1.0, "seed": seed, "max_tokens": max_tokens, "detokenize": False, **extra, **more}
    )


def generate(llm: Any, prompts: list[list[int]], settings: list[Any]) -> list[list[int]]:
    done = llm.generate([{"prompt_token_ids": ids} for ids in prompts], settings, use_tqdm=False)
    return [list(request.outputs[0].token_ids) for request in done]


def test_every_step_has_the_temperature_that_generate_gives_it(llm: Any, model: Any) -> None:
    from temp_processors.serving.rows import policy_of_request

    llm.recording.seen.clear()
    prompts = [PROMPTS[place % len(PROMPTS)] for place in range(len(REQUEST_POLICIES))]
    settings = [params(policy, seed, 8 + 2 * seed) for seed, policy in enumerate(REQUEST_POLICIES.values())]
    texts = generate(llm, prompts, settings)
    assert len({tuple(text) for text in texts}) > len(texts) // 2
    for (name, spec), prompt, tokens in zip(REQUEST_POLICIES.items(), prompts, texts, strict=True):
        forced = Forced(build_policy(spec, prompt_length=len(prompt)), len(prompt), tokens)
        model.generate(torch.tensor([prompt]), logits_processor=[forced], do_sample=False, max_new_tokens=len(tokens))
        theirs = {step.new_tokens: step for step in llm.recording.seen[id(policy_of_request(spec))]}
        assert sorted(theirs) == list(range(len(tokens))), name
        for step in forced.steps:
            there = theirs[step.new_tokens]
            gap = (there.after.softmax(-1) - step.after.softmax(-1)).abs().max().item()
            assert gap < 2e-5, (name, step.new_tokens)
            if name in SCALING:
                wanted, got = (
                    measured_temperature(step.before, step.after),
                    measured_temperature(there.before, there.after),
                )
                assert got == pytest.approx(wanted, abs=1e-5, nan_ok=True), (name, step.new_tokens)


def test_greedy_texts_are_those_of_generate(llm: Any, model: Any) -> None:
    cold = {"kind": "fixed", "temperature": 0}
    wanted = [
        model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=40)[0, len(prompt) :].tolist()
        for prompt in PROMPTS
    ]
    assert generate(llm, PROMPTS, [params(cold, 1, 40) for _ in PROMPTS]) == wanted
    assert generate(llm, PROMPTS, [params(None, 1, 40, temperature=0.0) for _ in PROMPTS]) == wanted
    assert (
        generate(llm, PROMPTS, [params(REQUEST_POLICIES["dynamic"], 1, 40, temperature=0.0) for _ in PROMPTS]) == wanted
    )


def test_thirty_two_requests_that_come_and_go_equal_each_alone(llm: Any) -> None:
    names = ["fixed", "cooling", "reset", "dynamic", "edt", "phase", "top_p_decay", "truncate_then_temper"]
    policies: list[dict[str, Any] | None] = [REQUEST_POLICIES[names[place % 8]] for place in range(32)]
    prompts = [PROMPTS[place % len(PROMPTS)] for place in range(32)]
    settings = [params(policy, place, 5 + 7 * place % 20) for place, policy in enumerate(policies)]
    engine, waiting, texts = llm.llm_engine, list(range(32)), dict[int, list[int]]()
    while len(texts) < 32:
        for place in waiting[:3]:
            engine.add_request(f"mixed-{place}", {"prompt_token_ids": prompts[place]}, settings[place])
        waiting = waiting[3:]
        for output in engine.step():
            if output.finished:
                texts[int(output.request_id.split("-")[1])] = list(output.outputs[0].token_ids)
    alone = [generate(llm, [prompts[place]], [settings[place]])[0] for place in range(32)]
    assert [texts[place] for place in range(32)] == alone


def test_a_request_without_a_policy_is_untouched_to_the_bit(llm: Any) -> None:
    llm.recording.seen.clear()
    settings = [params(REQUEST_POLICIES["dynamic"] if place % 2 else None, place) for place in range(6)]
    generate(llm, [PROMPTS[0]] * 6, settings)
    plain = llm.recording.seen[None]
    assert len(plain) == 3 * 16
    assert all(torch.equal(step.before, step.after) for step in plain)


@pytest.mark.parametrize(
    ("policy", "more", "message"),
    [
        ({"kind": "fixed", "temperature": -1}, {}, "temperature: has to be a number >= 0"),
        ({"kind": "fixed", "temperature": 1}, {"temperature": 0.5}, "the two would multiply"),
    ],
)
def test_a_bad_request_is_refused_and_the_engine_goes_on(llm: Any, policy: Any, more: Any, message: str) -> None:
    from vllm.exceptions import VLLMValidationError

    with pytest.raises(VLLMValidationError, match=message):
        generate(llm, [PROMPTS[0]], [params(policy, 0, **more)])
    assert len(generate(llm, [PROMPTS[0]], [params(None, 0)])[0]) == 16


@pytest.mark.parametrize("name", ["fixed", "dynamic"])
def test_diversity_agrees_with_generate(llm: Any, model: Any, name: str) -> None:
    from temp_processors.engines.vllm_local import decode_with_vllm

    groups, size, spec = 8, 32, REQUEST_POLICIES[name]
    rows = [DecodeRow(tuple(PROMPTS[0]), 0, seed) for seed in range(groups * size)]
    ours = decode(
        model,
        rows,
        [lambda length: build_policy(spec, prompt_length=length)],
        max_new_tokens=24,
        eos_token_ids=[2],
        pad_token_id=0,
    )
    theirs = decode_with_vllm(llm, rows, [spec], max_new_tokens=24, eos_token_ids=[2])
    texts = [[" ".join(map(str, row.token_ids)) for row in sorted(done)] for done in (ours, theirs)]
    for metric in (lambda group: distinct_n(group, 2).value, lambda group: self_bleu(group, 4).value):
        values = torch.tensor([[metric(text[g * size : (g + 1) * size]) for g in range(groups)] for text in texts])
        error = (values.var(dim=1) / groups).sum().sqrt()
        assert abs(values[0].mean() - values[1].mean()) < 3.5 * error


def test_rows_carry_the_untempered_log_probability(llm: Any, model: Any) -> None:
    from temp_processors.engines.vllm_local import decode_with_vllm

    rows = [DecodeRow(tuple(prompt), 0, 3) for prompt in PROMPTS]
    for done in decode_with_vllm(llm, rows, [REQUEST_POLICIES["fixed"]], max_new_tokens=200, eos_token_ids=[2]):
        tokens = done.token_ids + [2] * (done.finish_reason == "stop")
        ids = torch.tensor([[*PROMPTS[done.row], *tokens]])
        with torch.inference_mode():
            log_probs = torch.log_softmax(model(ids).logits[0, :-1], dim=-1)[-len(tokens) :]
        wanted = log_probs.gather(1, torch.tensor(tokens)[:, None]).sum().item()
        assert done.log_prob == pytest.approx(wanted, abs=1e-3)


def test_model_runner_v1_promises_no_coupled_draws(llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from temp_processors.config.loading import load_config
    from temp_processors.engines import vllm_local
    from temp_processors.engines.engine import ModelError

    assert not llm.llm_engine.vllm_config.use_v2_model_runner
    monkeypatch.setattr(vllm_local, "start", lambda config: llm)
    with pytest.raises(ModelError, match="coupled: vLLM runs its Model Runner V1 here"):
        vllm_local.VllmEngine.load(load_config("fox", ["coupled=true", "engine=vllm"]))
