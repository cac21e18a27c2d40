"""Truncations: transformers' own to the bit, ours against float64 references, on random rows with masks and ties."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from temp_processors import build_policy
from temp_processors.policies.kinds import KINDS, WARPERS

Row = np.ndarray[Any, np.dtype[np.float64]]
IDS = torch.zeros(1, 3, dtype=torch.long)


def random_rows(count: int = 1000, size: int = 60) -> torch.Tensor:
    """Rows of every spread, a third of them in steps of a quarter (ties), half of them masked in part; float64, exact in bfloat16."""
    generator = torch.Generator().manual_seed(7)
    scores = torch.randn(count, size, generator=generator, dtype=torch.float64)
    scores *= torch.tensor([0.02, 0.5, 2.0, 6.0, 30.0], dtype=torch.float64)[torch.arange(count) % 5, None]
    scores[::3] = (scores[::3] * 4).round() / 4
    hidden = torch.rand(count, size, generator=generator) < 0.4
    hidden[1::2] = False
    hidden[:, 0] = False
    scores = scores.masked_fill(hidden, -torch.inf).bfloat16().double()
    scores[-1, 1:] = -torch.inf
    scores[-2] = 0.25
    return scores


ROWS = random_rows()
THEIRS: list[tuple[dict[str, Any], Any]] = [
    *[({"kind": "top_k", "top_k": k}, transformers.TopKLogitsWarper(k)) for k in (1, 5, 100)],
    *[({"kind": "top_p", "top_p": p}, transformers.TopPLogitsWarper(p)) for p in (0.1, 0.9, 1.0)],
    *[({"kind": "min_p", "min_p": p}, transformers.MinPLogitsWarper(p)) for p in (0.0, 0.1, 1.0)],
    *[({"kind": "typical_p", "typical_p": p}, transformers.TypicalLogitsWarper(p)) for p in (0.2, 0.95)],
    *[({"kind": "top_h", "top_h": h}, transformers.TopHLogitsWarper(h)) for h in (0.4, 1.0)],
    *[({"kind": "epsilon", "epsilon_cutoff": p}, transformers.EpsilonLogitsWarper(p)) for p in (3e-4, 0.3)],
    *[({"kind": "eta", "eta_cutoff": p}, transformers.EtaLogitsWarper(p)) for p in (3e-4, 0.3)],
]


@pytest.mark.parametrize(("config", "theirs"), THEIRS, ids=[str(config) for config, _ in THEIRS])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_warpers_of_transformers_to_the_bit(config: dict[str, Any], theirs: Any, dtype: torch.dtype) -> None:
    scores = ROWS.to(dtype)
    assert torch.equal(build_policy(config)(IDS, scores), theirs(IDS, scores))


def log_sum_exp(row: Row) -> float:
    top = row.max()
    return float(top + np.log(np.exp(row - top).sum()))


def top_n_sigma(row: Row) -> float:
    """Each reference: the lowest score that is kept, from the scores of a row that are not masked."""
    return float(row.max() - 1.5 * row.std())


def p_less(row: Row) -> float:
    return min(log_sum_exp(2 * row) - log_sum_exp(row), float(row.max()))


def min_k(row: Row) -> float:
    z = np.sort(row)[::-1]
    if z[0] == z[-1]:
        return float(z[0])
    steep = (z[:-1] - z[1:]) / (z[0] - z[-1]) / np.arange(1, len(z))
    return float(z[steep.argmax()])


def ees(row: Row) -> float:
    z = np.sort(row)[::-1]
    p = np.exp(z - log_sum_exp(row))
    for k in range(2, len(z) + 1):
        q = p[:k][p[:k] > 0] / p[:k].sum()
        if -(q * np.log(q)).sum() / math.log(k) < p[:k].sum():
            return float(z[k - 1])
    return float(z[-1])


OURS: list[tuple[dict[str, Any], Callable[[Row], float]]] = [
    ({"kind": "top_n_sigma", "n": 1.5}, top_n_sigma),
    ({"kind": "p_less"}, p_less),
    ({"kind": "min_k"}, min_k),
    ({"kind": "ees"}, ees),
]


@pytest.mark.parametrize(("config", "lowest"), OURS, ids=[config["kind"] for config, _ in OURS])
def test_ours_keep_what_the_formula_keeps(config: dict[str, Any], lowest: Callable[[Row], float]) -> None:
    """In float64 to 1e-9 around the threshold; float32 and bfloat16 rows (the same numbers) to 1e-5 around it."""
    policy = build_policy(config)
    threshold = torch.tensor([lowest(row[np.isfinite(row)]) for row in ROWS.numpy()], dtype=torch.float64)[:, None]
    masked = torch.isneginf(ROWS)
    for dtype, margin in ((torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 1e-5)):
        result = policy(IDS, ROWS.to(dtype))
        kept = torch.isfinite(result)
        near = (ROWS - threshold).abs() < margin * (1 + threshold.abs())
        assert torch.equal(kept[~near], ((threshold < ROWS) & ~masked)[~near])
        assert torch.equal(result[kept], ROWS.to(dtype)[kept])
        assert kept.gather(-1, ROWS.argmax(-1, keepdim=True)).all()


def test_ours_keep_the_token_that_sets_the_threshold() -> None:
    """min-k and EES cut below a token of the row, which stays, and with it every equal one."""
    for config, lowest in OURS[2:]:
        kept = torch.isfinite(build_policy(config)(IDS, ROWS)).numpy()
        for row, keeps in zip(ROWS.numpy(), kept, strict=True):
            assert keeps[row == lowest(row[np.isfinite(row)])].all()


CUTS = [kind for kind, warper in WARPERS.items() if warper.only_cuts and kind != "top_p_decay"]


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_batch_equals_its_rows_alone_to_the_bit(kind: str, dtype: torch.dtype) -> None:
    policy, scores = build_policy({"kind": kind, **KINDS[kind].warper.example}), ROWS[:200].to(dtype)
    alone = torch.cat([policy(IDS, row[None]) for row in scores])
    assert torch.equal(policy(IDS, scores), alone)
    assert torch.equal(policy(IDS, scores.view(20, 10, -1)), alone.view(20, 10, -1))


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("row", [[0.5], [1.0, -math.inf], [-math.inf] * 3, [2.0] * 4], ids=str)
def test_rows_of_one_token_none_and_equal_ones(kind: str, row: list[float]) -> None:
    """At their loosest: at 1 - 1e-9 and the like a uniform row keeps all of its tokens."""
    loose = {"top_k": 9, "typical_p": 0.999, "epsilon_cutoff": 1e-9, "eta_cutoff": 1e-9, "top_p": 1.0, "top_h": 1.0}
    more = {name: loose.get(name, 0.1) for name in KINDS[kind].warper.example}
    scores = torch.tensor([row])
    assert torch.equal(build_policy({"kind": kind, **more})(IDS, scores), scores)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "top_k", "top_k": 0}, r"top_k: has to be a whole number, a number >= 1, but is 0"),
        ({"kind": "top_p", "top_p": 1.5}, r"top_p: has to be a number in \(0, 1\], but is 1.5"),
        ({"kind": "typical_p", "typical_p": 1.0}, r"typical_p: has to be a number in \(0, 1\), but is 1.0"),
        ({"kind": "top_n_sigma", "n": 0}, r"n: has to be a number > 0, but is 0"),
    ],
)
def test_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_policy(config)
