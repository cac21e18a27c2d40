"""Policies against their formulas written out in numpy, on rows of every spread, offset and mask."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors import build_policy

Row = np.ndarray[Any, np.dtype[np.float64]]


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Scores that float32 holds exactly, at least one of them finite."""
    size = draw(st.sampled_from([2, 3, 7, 50, 1000]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = random.normal(size=size) * draw(st.sampled_from([0.01, 0.5, 3.0, 10.0, 50.0, 300.0]))
    scores += draw(st.sampled_from([0.0, 100.0, -1000.0]))
    scores[random.random(size) < draw(st.sampled_from([0.0, 0.5]))] = -math.inf
    scores[0] = max(scores[0], -2000.0)
    return scores.astype(np.float32).astype(np.float64)


def entropy(scores: Row) -> tuple[float, int]:
    """H in nats, and the number of finite entries."""
    gap = scores[np.isfinite(scores)] - scores.max()
    weight = np.exp(gap)
    rest = weight.sum() - 1.0
    return float(np.log1p(rest) - (weight * gap).sum() / (1.0 + rest)), len(gap)


def dynamic(scores: Row, step: int) -> float:
    spread, count = entropy(scores)
    return 0.4 + (1.8 - 0.4) * (spread / math.log(count)) ** 2 if count > 1 else 1.0


def edt(scores: Row, step: int) -> float:
    spread, _ = entropy(scores)
    return 1.3 * 0.8 ** (0.4 / spread) if spread > 0 else 0.0


def entropy_threshold(scores: Row, step: int) -> float:
    return 1.3 if entropy(scores)[0] > 1.0 else 0.5


def adaptive_sharpening(scores: Row, step: int) -> float:
    spread, _ = entropy(scores)
    beta = np.polyval([-0.037, 0.481, -2.3, 4.917, -1.791], spread)
    return 1.0 / max(float(beta), 1.0) if spread > 0.5 else 1.0


def annealed(scores: Row, step: int) -> float:
    return max(1.0 + 1.2 - math.exp(step / 20.0), 0.1)


def cosine(scores: Row, step: int) -> float:
    return 0.5 + (1.5 - 0.5) * (1.0 + math.cos(math.pi * min(step, 16) / 16)) / 2.0


FORMULAS: list[tuple[dict[str, Any], Callable[[Row, int], float]]] = [
    ({"kind": "dynamic", "temperature": 1.1, "range": 0.7, "exponent": 2.0}, dynamic),
    ({"kind": "edt", "temperature": 1.3, "theta": 0.4}, edt),
    ({"kind": "entropy_threshold", "low": 0.5, "high": 1.3, "threshold": 1.0}, entropy_threshold),
    ({"kind": "adaptive_sharpening"}, adaptive_sharpening),
    ({"kind": "annealed", "decay": 20.0}, annealed),
    ({"kind": "scheduled", "shape": "cosine", "start": 1.5, "end": 0.5, "steps": 16}, cosine),
]


@pytest.mark.parametrize(("config", "formula"), FORMULAS, ids=[config["kind"] for config, _ in FORMULAS])
@settings(deadline=None, derandomize=True)
@given(scores=rows(), step=st.integers(0, 40))
def test_the_temperature_is_the_formula(
    config: dict[str, Any], formula: Callable[[Row, int], float], scores: Row, step: int
) -> None:
    policy, ids = build_policy(config, prompt_length=2), torch.zeros(1, 2 + step, dtype=torch.long)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-6)):
        got = policy.temperature(ids, torch.tensor(scores, dtype=dtype).unsqueeze(0)).item()
        assert got == pytest.approx(formula(scores, step), rel=tolerance, abs=tolerance)
