"""Policies meet cases that were computed elsewhere: to 1e-12 in float64, to 1e-6 in float32."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from temp_processors import (
    AdaptiveSharpeningLogitsWarper,
    AnnealedTemperatureLogitsWarper,
    BlockStartLogitsWarper,
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    EntropyTargetLogitsWarper,
    EntropyThresholdLogitsWarper,
    FixedTemperatureLogitsWarper,
    PolicyLogitsWarper,
    QuadraticLogitsWarper,
    ScheduledTemperatureLogitsWarper,
    TopPDecayLogitsWarper,
    TruncateThenTemperLogitsWarper,
)
from temp_processors.distribution import entropy, varentropy
from tests.paths import ROOT

CASES = json.loads((ROOT / "tests" / "golden" / "temperature.json").read_text(encoding="utf-8"))["cases"]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def cases(*methods: str) -> pytest.MarkDecorator:
    """The cases of some methods as test parameters."""
    found = [case for case in CASES if case["method"] in methods]
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


def row(values: Any, dtype: torch.dtype) -> torch.Tensor:
    if values == "[0.0]*400":
        values = [0.0] * 400
    return torch.tensor([[float(value) for value in values]], dtype=dtype)


def meets(policy: PolicyLogitsWarper, case: dict[str, Any], dtype: torch.dtype) -> None:
    """Temperature and distribution of a case, each to the tolerance of its dtype."""
    scores = row(case["inputs"]["logits"], dtype)
    near = {"rtol": 0.0, "atol": TOLERANCE[dtype]}
    expected = case["expected"]
    if expected.get("temperature") is not None:
        got = policy.temperature(torch.zeros(1, 1, dtype=torch.long), scores).expand(1, 1)
        torch.testing.assert_close(got, torch.tensor([[expected["temperature"]]], dtype=dtype), **near)
    if isinstance(expected["probs"], list):
        probs = policy(torch.zeros(1, 1, dtype=torch.long), scores).softmax(-1)
        torch.testing.assert_close(probs, row(expected["probs"], dtype), **near)


@dtypes
@cases("fixed")
def test_fixed(case: dict[str, Any], dtype: torch.dtype) -> None:
    meets(FixedTemperatureLogitsWarper(case["params"]["temperature"]), case, dtype)


@dtypes
@cases("dynatemp_llama_cpp")
def test_dynamic(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    policy = DynamicTemperatureLogitsWarper(given["temp"], given["dynatemp_range"], given["dynatemp_exponent"])
    meets(policy, case, dtype)


@dtypes
@cases("dynatemp_webui")
def test_dynamic_between(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    low, high, exponent = given["dynatemp_low"], given["dynatemp_high"], given["dynatemp_exponent"]
    meets(DynamicTemperatureLogitsWarper.between(low, high, exponent), case, dtype)


@dtypes
@cases("edt")
def test_edt(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    meets(EDTLogitsWarper(given["T0"], given["theta"], given["N"]), case, dtype)


@dtypes
@cases("schedule")
def test_schedule(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    shape = case["id"].removeprefix("schedule/").split("_")[0]
    policy = ScheduledTemperatureLogitsWarper(shape, given["start"], given["end"], given["n_steps"], prompt_length=2)
    check_steps(policy, case["inputs"]["t"], case["expected"]["temperature"], dtype)


def check_steps(policy: PolicyLogitsWarper, steps: list[int], expected: list[float], dtype: torch.dtype) -> None:
    """The temperature at each step, for a policy with prompt_length 2."""
    scores = torch.zeros(1, 4, dtype=dtype)
    got = [policy.temperature(torch.zeros(1, step + 2, dtype=torch.long), scores) for step in steps]
    want = torch.tensor(expected, dtype=dtype)
    torch.testing.assert_close(torch.cat(got).flatten(), want, rtol=0.0, atol=TOLERANCE[dtype])


@dtypes
@cases("ead_schedule")
def test_annealed(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    policy = AnnealedTemperatureLogitsWarper(given["d"], given["tau_max"], given["tau_min"], prompt_length=2)
    check_steps(policy, case["inputs"]["t"], case["expected"]["temperature"], dtype)


@dtypes
@cases("entropy_threshold")
def test_entropy_threshold(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    meets(EntropyThresholdLogitsWarper(given["T_low"], given["T_high"], given["threshold"]), case, dtype)


@dtypes
@cases("entropy_target_temperature")
def test_entropy_target(case: dict[str, Any], dtype: torch.dtype) -> None:
    meets(EntropyTargetLogitsWarper(case["params"]["target_entropy"]), case, dtype)


@dtypes
@cases("softmax_not_enough")
def test_adaptive_sharpening(case: dict[str, Any], dtype: torch.dtype) -> None:
    meets(AdaptiveSharpeningLogitsWarper(), case, dtype)


@dtypes
@cases("quadratic_smoothing_webui")
def test_quadratic(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    policy = QuadraticLogitsWarper(given["smoothing_factor"], given["smoothing_curve"])
    meets(policy, case, dtype)
    bent = policy(torch.zeros(1, 1, dtype=torch.long), row(case["inputs"]["logits"], dtype))
    expected = row(case["expected"]["logits"], dtype)
    torch.testing.assert_close(bent, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@dtypes
@cases("factual_nucleus")
def test_top_p_decay(case: dict[str, Any], dtype: torch.dtype) -> None:
    given, ended = case["params"], case["inputs"]["produced_token_is_sentence_end"]
    policy = TopPDecayLogitsWarper(given["p"], given["lambda_decay"], given["omega_bound"], [9], prompt_length=1)
    input_ids = torch.tensor([[9] + [9 if end else 1 for end in ended[:-1]]])
    got = policy.top_p(input_ids, torch.zeros(1, len(ended), 4, dtype=dtype)).flatten()
    expected = torch.tensor(case["expected"]["top_p_per_step"], dtype=dtype)
    torch.testing.assert_close(got, expected, rtol=0.0, atol=TOLERANCE[dtype])


@cases("adapt_official_code")
def test_block_start(case: dict[str, Any]) -> None:
    previous, given = case["inputs"]["previous_token_ids_per_step"], case["params"]
    policy = BlockStartLogitsWarper(
        198, [197, 50268], given["t_1"], given["t_2"], given.get("initial_temperature", given["t_2"])
    )
    got = policy.temperature(torch.tensor([previous]), torch.zeros(1, len(previous), 4)).flatten()
    assert got.tolist() == pytest.approx(case["expected"]["temperature_per_step"])


@dtypes
@cases("order_temperature_vs_top_p")
def test_truncate_then_temper(case: dict[str, Any], dtype: torch.dtype) -> None:
    given = case["params"]
    policy = TruncateThenTemperLogitsWarper(FixedTemperatureLogitsWarper(given["temperature"]), top_p=given["top_p"])
    probs = policy(torch.zeros(1, 1, dtype=torch.long), row(case["inputs"]["logits"], dtype)).softmax(-1)
    expected = row(case["expected"]["probs_temperature_last"], dtype)
    torch.testing.assert_close(probs, expected, rtol=0.0, atol=TOLERANCE[dtype])


@dtypes
@cases("entropy_varentropy")
def test_entropy_and_varentropy(case: dict[str, Any], dtype: torch.dtype) -> None:
    scores = row(case["inputs"]["logits"], dtype)
    assert entropy(scores).item() == pytest.approx(case["expected"]["entropy_nats"], abs=TOLERANCE[dtype])
    assert varentropy(scores).item() == pytest.approx(case["expected"]["varentropy_nats2"], abs=TOLERANCE[dtype])
