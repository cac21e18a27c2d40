"""`kind: power` in the engine: a text depends on its seed and policy alone, and copied rows are the rows that they copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM

from temp_processors import build_policy
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.decoding.power.decode import decode_power
from temp_processors.engines.decoding.power.smc import systematic
from temp_processors.engines.engine import Decoded, DecodeRow
from temp_processors.experiment.run import run_experiment
from temp_processors.policies.power import PowerPolicy
from temp_processors.report.page_data import page_data
from temp_processors.runs.lenient import load_run
from temp_processors.runs.writing import read_parquet
from tests.models import tiny_llama, tiny_t5

SMC = PowerPolicy(alpha=3.0, particles=6, ramp=4)
MH = PowerPolicy(alpha=3.0, method="mh", steps=2, block=5)
LONG = tuple(7 + place % 80 for place in range(150))
ROWS = [DecodeRow(prompt, 0, seed) for seed in range(3) for prompt in ((5, 6, 7), LONG)]


def drawn(model: Any, policy: PowerPolicy, rows: Sequence[DecodeRow] = ROWS, **options: Any) -> list[Decoded]:
    given: dict[str, Any] = {"max_new_tokens": 10, "eos_token_ids": [1, 2, 3, 4], "pad_token_id": 0, **options}
    return sorted(decode_power(model, rows, policy, **given))


def log_prob(model: Any, row: DecodeRow, done: Decoded, end: Sequence[int] = ()) -> float:
    """From one pass over the finished text."""
    ids = torch.tensor([[*row.prompt_ids, *done.token_ids, *end]])
    with torch.inference_mode():
        chances = model(ids).logits[0, len(row.prompt_ids) - 1 : -1].double().log_softmax(dim=-1)
    return float(chances.gather(1, ids[0, len(row.prompt_ids) :, None]).sum())


MODELS = {
    "llama": tiny_llama(),
    "mamba": MambaForCausalLM(
        MambaConfig(vocab_size=97, hidden_size=8, state_size=4, num_hidden_layers=1, initializer_range=0.4)
    ).eval(),
}


@pytest.mark.parametrize("policy", [SMC, MH], ids=["smc", "mh"])
@pytest.mark.parametrize("name", MODELS)
def test_texts_are_those_of_their_seeds(name: str, policy: PowerPolicy) -> None:
    model, rows = MODELS[name], ROWS if name == "llama" else ROWS[::2]
    together = drawn(model, policy, rows)
    for row, done in zip(rows, together, strict=True):
        (alone,) = drawn(model, policy, [row], batch_size=1)
        assert alone.token_ids == done.token_ids
        assert done.power is not None
        assert alone.power is not None
        assert alone.power.computed_tokens == done.power.computed_tokens
    assert len({tuple(done.token_ids) for done in together}) > 2


@pytest.mark.parametrize("policy", [SMC, MH], ids=["smc", "mh"])
def test_the_log_probability_is_that_of_the_text(policy: PowerPolicy) -> None:
    """So rows were copied with their past, over a long prompt that they share as well."""
    model = MODELS["llama"]
    rows = [DecodeRow(prompt, 0, seed) for seed in range(4) for prompt in ((5, 6, 7), LONG)]
    for row, done in zip(rows, drawn(model, policy, rows, eos_token_ids=[], batch_size=32), strict=True):
        assert done.finish_reason == "length"
        assert done.log_prob == pytest.approx(log_prob(model, row, done), abs=1e-3)


def test_texts_end_with_an_end_token_a_stop_text_or_their_length() -> None:
    ends = drawn(MODELS["llama"], SMC, ends=lambda tokens: tokens[-1] % 5 == 0, max_new_tokens=4)
    assert {done.finish_reason for done in drawn(MODELS["llama"], SMC)} >= {"stop"}
    assert any(done.finish_reason == "stop_text" for done in ends)
    for done in ends:
        assert all(token % 5 for token in done.token_ids[:-1])
        assert (done.finish_reason == "stop_text") == (bool(done.token_ids) and done.token_ids[-1] % 5 == 0)


def test_statistics() -> None:
    for done in drawn(MODELS["llama"], SMC):
        assert done.power is not None
        assert done.power.ess is not None
        assert done.power.ancestors is not None
        assert 1 <= done.power.ess <= 6
        assert 1 <= done.power.ancestors <= 6
        assert done.steps <= done.power.computed_tokens <= 60
    for done in drawn(MODELS["llama"], MH):
        assert done.power is not None
        assert done.power.acceptance is not None
        assert 0 <= done.power.acceptance <= 1
        assert done.power.ess is None
        assert done.power.computed_tokens >= done.steps


def test_an_exponent_of_one_is_the_model_with_equal_weights() -> None:
    for done in drawn(MODELS["llama"], PowerPolicy(alpha=1.0, particles=6)):
        assert done.power is not None
        assert done.power.ess == pytest.approx(6.0, abs=1e-3)
        assert (done.power.resamplings, done.power.ancestors) == (0, 6)
    for done in drawn(MODELS["llama"], PowerPolicy(alpha=1.0, method="mh", steps=1)):
        assert done.power is not None
        assert done.power.acceptance is not None
        assert done.power.acceptance > 0.5  # length alone refuses


def test_encoder_decoders() -> None:
    model = tiny_t5()
    rows = [DecodeRow((5, 6, 7), 0, seed) for seed in range(3)]
    together = drawn(model, SMC, rows)
    assert [done.token_ids for done in together] == [drawn(model, SMC, [row])[0].token_ids for row in rows]


@pytest.mark.parametrize("policy", [SMC, MH], ids=["smc", "mh"])
def test_nan_ends_a_text_and_no_other(policy: PowerPolicy) -> None:
    model = tiny_llama()
    with torch.no_grad():
        model.model.embed_tokens.weight[90] = torch.nan
    rows = [DecodeRow((90,), 0, 0), DecodeRow((5,), 0, 0)]
    bad, good = drawn(model, policy, rows, eos_token_ids=[])
    assert (bad.finish_reason, bad.token_ids) == ("nan", [])
    assert good.finish_reason in ("length", "nan")


def test_systematic_resampling_keeps_each_its_share() -> None:
    weight = torch.rand(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 4
    weight = weight / weight.sum(dim=1, keepdim=True)
    points = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    counts = torch.zeros_like(weight)
    for u in points:
        source = systematic(weight, u.expand(50, 1))
        copies = torch.zeros_like(weight).scatter_add(1, source, torch.ones_like(weight))
        assert bool(((copies - 7 * weight).abs() < 1.0).all())
        alive = copies > 0
        assert torch.equal(source[alive], torch.arange(7).expand(50, 7)[alive])
        counts += copies / 200
    torch.testing.assert_close(counts, 7 * weight, atol=0.006, rtol=0)


BASE: dict[str, Any] = {"name": "p", "prompts": ["The quick brown fox"], "max_new_tokens": 4}
POWER = {"name": "power", "kind": "power", "alpha": 4.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policies": [{**POWER, "alpha": 0.0}]}, "`alpha` has to be a number > 0, but is 0.0"),
        ({"policies": [{**POWER, "steps": 3}]}, "`steps` is for `method: mh`, but method is 'smc'"),
        ({"policies": [{**POWER, "method": "mh", "particles": 3}]}, "`particles` is for `method: smc`"),
        ({"policies": [{**POWER, "particles": 0}]}, "`particles` has to be a whole number, a number >= 1, but is 0"),
        ({"policies": [POWER], "engine": "vllm"}, "`kind: power` is for `engine: transformers`, but engine is 'vllm'"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExperimentConfig.model_validate({**BASE, **changes})


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "power", "alpha": 4.0},
        {"kind": "chain", "steps": [{"kind": "power", "alpha": 4.0}]},
        {"kind": "truncate_then_temper", "top_k": 5, "policy": {"kind": "power", "alpha": 4.0}},
    ],
)
def test_it_is_no_logits_processor(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`kind: power` draws whole texts and is no logits processor"):
        build_policy(data)


def test_a_run_holds_the_cost_and_the_weights(tmp_path: Any) -> None:
    policies = [
        {"name": "T=1", "kind": "fixed", "temperature": 1.0},
        {**POWER, "particles": 4},
        {"name": "mh", "kind": "power", "alpha": 4.0, "method": "mh", "steps": 1},
    ]
    config = ExperimentConfig.model_validate(
        {**BASE, "policies": policies, "samples_per_prompt": 2, "metrics": ["mean_length"], "out": str(tmp_path / "r")}
    )
    run = run_experiment(config)
    found = {(sample.policy, sample.sample_id): sample for sample in read_parquet(run.path / "samples.parquet")}
    assert [
        line for line in (run.path / "samples.jsonl").read_text().splitlines() if "T=1" in line and "ess" in line
    ] == []
    assert found["T=1", 0].computed_tokens is None
    assert found["power", 0].computed_tokens == 16
    assert found["power", 1].ess is not None
    assert found["mh", 1].acceptance is not None
    power, mh = (note for note in page_data(load_run(run.path))["paneNotes"]["scores"] if "each token kept" in note)
    assert power.startswith("power: 4.0 tokens computed for each token kept, log-probability of a text -")
    assert "effective sample size" in power
    assert "of its moves accepted" in mh
    lines = (run.path / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "samples.jsonl").write_bytes(b"".join(lines[:3]))
    (run.path / "DONE").unlink()
    again = run_experiment(config, resume=True)
    assert sorted((again.path / "samples.jsonl").read_bytes().splitlines(keepends=True)) == sorted(lines)
