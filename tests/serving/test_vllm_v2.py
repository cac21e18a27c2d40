"""The policies on vLLM's Model Runner V2, against `generate` on the same model: vLLM's own engine, sampler and draft model.

On a machine without a GPU its Triton kernels run in Triton's interpreter; see `model_runner_v2.py`. Needs the environment of
scripts/setup_vllm.sh.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from temp_processors import build_policy
from temp_processors.fox import FOX_PATH
from tests.paths import ROOT
from tests.serving.forced import SCALING, Forced, measured_temperature
from tests.serving.request_policies import REQUEST_POLICIES

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.filterwarnings("default")]
pytest.importorskip("vllm", reason="vLLM is not in this environment: scripts/setup_vllm.sh makes one")
pytest.importorskip("triton", reason="Triton is not installed")

NAMES = [*REQUEST_POLICIES, None, None, None]


class Row(NamedTuple):
    """One row of scores that the processor saw: the policy of its request, its slot, and the tokens that it sees."""

    name: str | None
    slot: int
    ids: list[int]
    guesses: int
    before: torch.Tensor
    after: torch.Tensor


def drawn(kind: str, folder: Path) -> Any:
    out = folder / f"{kind}.pt"
    command = [sys.executable, str(ROOT / "tests" / "serving" / "model_runner_v2.py"), str(out), kind]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return torch.load(out)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return drawn("plain", tmp_path_factory.mktemp("v2"))


@pytest.fixture(scope="module")
def guesses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return drawn("guesses", tmp_path_factory.mktemp("v2"))


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(FOX_PATH, dtype=torch.float32).eval()


def rows_of(found: dict[str, Any]) -> list[Row]:
    """Every row of a request with a policy, with the tokens that stood before it, read off the finished text."""
    texts = {name: (*pair,) for name, *pair in zip(NAMES, found["prompts"], found["texts"], strict=True) if name}
    rows = []
    for step in found["steps"]:
        for place, (name, slot, position, guessed, _, before, after) in enumerate(step):
            if name is None:
                rows.append(Row(None, slot, [], guessed, before, after))
                continue
            prompt, tokens = texts[name]
            fed = [step[place - back][4] for back in reversed(range(guessed))]
            ids = (prompt + tokens)[: position + 1 - guessed] + fed
            assert len(ids) == position + 1
            rows.append(Row(name, slot, ids, guessed, before, after))
    return rows


@pytest.mark.parametrize("kind", ["plain", "guesses"])
def test_every_step_has_the_temperature_that_generate_gives_it(
    kind: str, model: Any, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(kind)
    rows = rows_of(found)
    for name, prompt, tokens in zip(NAMES, found["prompts"], found["texts"], strict=True):
        if name is None:
            continue
        forced = Forced(build_policy(REQUEST_POLICIES[name], prompt_length=len(prompt)), len(prompt), tokens)
        model.generate(torch.tensor([prompt]), logits_processor=[forced], do_sample=False, max_new_tokens=len(tokens))
        seen = {len(row.ids): row for row in rows if row.name == name and row.ids == (prompt + tokens)[: len(row.ids)]}
        assert sorted(seen)[: len(tokens)] == [len(prompt) + step.new_tokens for step in forced.steps], name
        for step in forced.steps:
            there = seen[len(prompt) + step.new_tokens]
            gap = (there.after.softmax(-1) - step.after.softmax(-1)).abs().max().item()
            assert gap < 2e-5, (name, step.new_tokens)
            if name in SCALING:
                wanted, got = (measured_temperature(one.before, one.after) for one in (step, there))
                assert got == pytest.approx(wanted, abs=1e-5, nan_ok=True), (name, step.new_tokens)


def test_guessed_tokens_count_as_tokens_even_where_they_are_rejected(guesses: dict[str, Any]) -> None:
    rejected = set()
    texts = {
        name: prompt + text for name, prompt, text in zip(NAMES, guesses["prompts"], guesses["texts"], strict=True)
    }
    lengths = dict(zip(NAMES, map(len, guesses["prompts"]), strict=True))
    for row in rows_of(guesses):
        if row.name is None or not row.guesses or min(row.ids) < 0:
            continue
        policy = build_policy(REQUEST_POLICIES[row.name], prompt_length=lengths[row.name])
        wanted = policy(torch.tensor([row.ids]), row.before[None])[0]
        torch.testing.assert_close(row.after, wanted, rtol=1e-5, atol=1e-5)
        if row.ids != texts[row.name][: len(row.ids)]:
            rejected.add(row.name)
    assert len(rejected) > len(REQUEST_POLICIES) // 2


@pytest.mark.parametrize("kind", ["plain", "guesses"])
def test_slots_are_used_again_and_rows_without_a_policy_are_untouched(
    kind: str, request: pytest.FixtureRequest
) -> None:
    rows = rows_of(request.getfixturevalue(kind))
    assert len({row.slot for row in rows}) <= 5 < len(REQUEST_POLICIES)
    alone = [row for row in rows if row.name is None]
    assert alone
    assert all(torch.equal(row.before, row.after) for row in alone)


def test_where_no_request_has_a_policy_the_processor_is_not_called(plain: dict[str, Any]) -> None:
    assert plain["called_without_a_policy"] == 0


def test_draws_of_equal_seeds_share_their_noise_at_other_temperatures(plain: dict[str, Any]) -> None:
    """What `coupled: true` stands on: noise of V2 depends on seed, position and token alone."""
    one, near, other = ([text[0] for text in plain[name]] for name in ("one", "near", "other_seeds"))
    assert sum(map(int.__eq__, one, near)) >= 15
    assert sum(map(int.__eq__, one, other)) <= 10


def test_an_experiment_couples_its_policies(tmp_path: Path) -> None:
    texts = {(policy, sample): tokens for policy, sample, tokens in drawn("coupled", tmp_path)}
    assert len(texts) == 24
    assert sum(texts["2.0", sample][:1] == texts["2.02", sample][:1] for sample in range(12)) >= 11
    assert len({tuple(tokens) for tokens in texts.values()}) > 3


def test_rows_carry_the_untempered_log_probability(plain: dict[str, Any], model: Any) -> None:
    for row, token_ids, reason, log_prob in plain["rows"]:
        prompt = plain["prompts"][row]
        tokens = token_ids + [2] * (reason == "stop")
        with torch.inference_mode():
            log_probs = torch.log_softmax(model(torch.tensor([prompt + tokens])).logits[0, :-1], dim=-1)[-len(tokens) :]
        assert log_prob == pytest.approx(log_probs.gather(1, torch.tensor(tokens)[:, None]).sum().item(), abs=1e-3)


def test_both_loaders_take_the_one_class() -> None:
    from vllm.v1.sample import logits_processor as v1
    from vllm.v1.worker.gpu.sample.logits_processor import loader as v2

    name = "temp_processors.vllm:TemperaturePolicyLogitsProcessor"
    assert v1._load_logitsprocs_by_fqcns([name]) == v2._load_v2_logitsprocs_by_fqcns([name])
    config = SimpleNamespace(speculative_config=None)
    (made,) = [make(config, SimpleNamespace()) for make in v2._load_v2_logitsprocs_by_fqcns([name])]
    assert not made.add_request(0, SimpleNamespace(extra_args=None))
