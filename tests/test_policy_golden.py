"""Policies meet cases that were computed elsewhere: to 1e-12 in float64, to 1e-6 in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from temp_processors import (
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    FixedTemperatureLogitsWarper,
    PolicyLogitsWarper,
    ScheduledTemperatureLogitsWarper,
)
from temp_processors.distribution import entropy, varentropy

CASES = Path(__file__).resolve().parents[2] / "shared" / "golden" / "temperature.json"
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def cases(*methods: str) -> pytest.MarkDecorator:
    """The cases of some methods as test parameters; skipped where the file is not beside this checkout."""
    if not CASES.is_file():
        return pytest.mark.parametrize("case", [pytest.param({}, marks=pytest.mark.skip("no golden cases here"))])
    found = [case for case in json.loads(CASES.read_text())["cases"] if case["method"] in methods]
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
@cases("entropy_varentropy")
def test_entropy_and_varentropy(case: dict[str, Any], dtype: torch.dtype) -> None:
    scores = row(case["inputs"]["logits"], dtype)
    assert entropy(scores).item() == pytest.approx(case["expected"]["entropy_nats"], abs=TOLERANCE[dtype])
    assert varentropy(scores).item() == pytest.approx(case["expected"]["varentropy_nats2"], abs=TOLERANCE[dtype])
