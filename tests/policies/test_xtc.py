"""XTC: the mixture against its reference and against tossed coins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from temp_processors import SeededSampling, build_policy
from tests.policies.test_cuts import ROWS, Row

IDS = torch.zeros(1, 3, dtype=torch.long)
THEN = {"kind": "fixed", "temperature": 0.7}


def softmax(row: Row) -> Row:
    weight = np.exp(row - row.max())
    return weight / weight.sum()


def without_top(row: Row, threshold: float) -> Row:
    likely = (softmax(row) >= threshold) & np.isfinite(row)
    top = [place for place in np.argsort(-row, kind="stable") if likely[place]]
    row = row.copy()
    row[top[:-1]] = -np.inf
    return row


def reference(row: Row, probability: float, threshold: float, temperature: float) -> Row:
    cut = without_top(row, threshold)
    return (1 - probability) * softmax(row / temperature) + probability * softmax(cut / temperature)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.45, 0.9])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 0.03)], ids=str
)
def test_the_mixture(probability: float, threshold: float, dtype: torch.dtype, tolerance: float) -> None:
    """In bfloat16 on the rows of small spread: rounding moves the scores of the others by more than it does there."""
    rows = ROWS if dtype != torch.bfloat16 else ROWS[torch.arange(len(ROWS)) % 5 < 3]
    policy = build_policy({"kind": "xtc", "probability": probability, "threshold": threshold, "then": THEN})
    wanted = np.stack([reference(row, probability, threshold, 0.7) for row in rows.numpy()])
    got = policy(IDS, rows.to(dtype)).double().softmax(-1).numpy()
    np.testing.assert_allclose(got, wanted, atol=tolerance)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_one_pass_is_the_mixture_of_plain_operations(probability: float, threshold: float) -> None:
    """As on a device, where nothing is looked at: scores that want a gradient take that way."""
    policy = build_policy({"kind": "xtc", "probability": probability, "threshold": threshold})
    plain = policy(IDS, ROWS.clone().requires_grad_()).detach()
    torch.testing.assert_close(policy(IDS, ROWS), plain, rtol=1e-12, atol=1e-12)


def test_the_texts_of_tossed_coins() -> None:
    """20,000 draws, seeded: a coin and then the cut or not, at T = 0.7, against the mixture drawn once."""
    count, row = 20_000, np.log([0.4, 0.25, 0.2, 0.1, 0.05])
    random = np.random.default_rng(5)
    cut, plain = softmax(without_top(row, 0.15) / 0.7), softmax(row / 0.7)
    tossed = [random.choice(5, p=cut if random.random() < 0.3 else plain) for _ in range(count)]
    policy = build_policy({"kind": "xtc", "probability": 0.3, "threshold": 0.15, "then": THEN})
    scores = policy(IDS, torch.tensor(row)[None]).expand(count, -1)
    drawn = SeededSampling(range(count))(IDS[:, :0].expand(count, -1), scores).argmax(-1).numpy()
    ours, theirs = (np.bincount(draws, minlength=5) for draws in (drawn, tossed))
    chi_square = ((ours - theirs) ** 2 / (ours + theirs)).sum()
    assert chi_square < 18.5  # 4 degrees of freedom: 0.1 %


def test_what_reaches_no_threshold_is_left_to_the_bit() -> None:
    scores = ROWS.float()
    loose = build_policy({"kind": "xtc", "threshold": 0.9})
    assert torch.equal(loose(IDS, scores), scores)
    tempered = build_policy({"kind": "xtc", "threshold": 0.9, "then": THEN})
    assert torch.equal(tempered(IDS, scores), build_policy(THEN)(IDS, scores))


def test_a_batch_equals_its_rows_alone() -> None:
    policy, scores = build_policy({"kind": "xtc"}), ROWS[:200]
    alone = torch.cat([policy(IDS, row[None]) for row in scores])
    torch.testing.assert_close(policy(IDS, scores), alone, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(policy(IDS, scores.view(20, 10, -1)), alone.view(20, 10, -1), rtol=1e-12, atol=1e-12)


XTC: dict[str, Any] = {"kind": "xtc"}


@pytest.mark.parametrize(
    "step",
    [
        XTC,
        {"kind": "chain", "steps": [THEN, XTC]},
        {"kind": "phase", "open_ids": [1], "close_ids": [2], "inside": XTC, "outside": THEN},
        {"kind": "truncate_then_temper", "top_k": 3, "policy": XTC},
    ],
)
def test_it_is_the_last_step_of_a_chain(step: dict[str, Any]) -> None:
    build_policy({"kind": "chain", "steps": [THEN, step]})
    with pytest.raises(ValueError, match=r"`steps\[0\]` .* has to be the last step: what follows it belongs into its"):
        build_policy({"kind": "chain", "steps": [step, THEN]})
