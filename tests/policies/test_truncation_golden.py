"""Truncations keep what the published rules keep; `tests/golden/truncations.json` says how the cases were computed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from temp_processors import build_policy
from tests.paths import GOLDEN

DATA = json.loads((GOLDEN / "truncations.json").read_text(encoding="utf-8"))


def kept(case: dict[str, Any], dtype: torch.dtype) -> tuple[list[int], list[float]]:
    """The tokens that stay, and the scores of all."""
    scores = torch.tensor([[float(score) for score in case["logits"]]], dtype=dtype)
    result = build_policy({"kind": case["kind"], **case["parameters"]})(torch.zeros(1, 1, dtype=torch.long), scores)
    return torch.isfinite(result[0]).nonzero().flatten().tolist(), scores[0].tolist()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", DATA["sources"])
def test_the_published_rule(kind: str, dtype: torch.dtype) -> None:
    """EES keeps beside them whatever is as likely as the last token kept."""
    cases = [case for case in DATA["cases"] if case["kind"] == kind]
    assert len(cases) >= 11
    for case in cases:
        ours, scores = kept(case, dtype)
        more = set(ours) - set(case["kept"])
        assert set(case["kept"]) <= set(ours), case
        assert not more or (kind == "ees" and {scores[i] for i in more} == {min(scores[i] for i in case["kept"])}), case


def test_where_the_authors_code_differs() -> None:
    """The code published for EES keeps one token fewer than its paper; that for top-n-sigma agrees on these rows, without masks."""
    differ = [case for case in DATA["cases"] if case.get("authors", case["kept"]) != case["kept"]]
    assert {case["kind"] for case in differ} == {"ees"}
    for case in differ:
        assert len(case["authors"]) == len(case["kept"]) - 1
