"""`kind: power` draws from p^alpha / Z: 20,000 texts against all texts of a tiny model, counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from temp_processors import build_policy
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.power.decode import decode_power
from temp_processors.engines.engine import DecodeRow
from temp_processors.policies.power import PowerPolicy
from tests.engines.texts_of_four import END, LONGEST, PROMPT, chance_of, counted, model_of_four, power_law, variation

pytestmark = pytest.mark.slow

DRAWS = 20_000
ALPHA = 2.0
NOISE = 0.006
"""Distance in total variation that 20,000 draws of the law itself have from it, at most: 0.0047 in the mean."""
OPTIONS: dict[str, Any] = {"max_new_tokens": LONGEST, "eos_token_ids": [END], "pad_token_id": 0}


def drawn(**fields: Any) -> Counter[tuple[int, ...]]:
    rows = [DecodeRow(PROMPT, 0, seed) for seed in range(DRAWS)]
    return counted(decode_power(model_of_four(), rows, PowerPolicy(**fields), batch_size=65_536, **OPTIONS))


@pytest.mark.parametrize("alpha", [0.5, ALPHA])
def test_moves_of_a_chain_pass_a_chi_square(alpha: float) -> None:
    """Every text is the state of a chain of its own after 5 blocks of 12 moves: burnt in, and independent of the others."""
    assert chance_of(drawn(alpha=alpha, method="mh", steps=12, block=1), power_law(alpha)) > 0.001


@pytest.mark.parametrize("particles", [2, 4, 8, 64])
def test_particles_are_within_a_bias_of_one_over_their_number(particles: int) -> None:
    """The bound: the law of the texts is at most 1 / particles from p^alpha / Z in total variation. One particle, which is
    token temperature, is 0.45 away, so that neither bound holds by itself."""
    assert variation(drawn(alpha=ALPHA, particles=particles, ramp=3), power_law(ALPHA)) < 1 / particles + NOISE


@pytest.mark.parametrize("ramp", [3, 10])
def test_particles_pass_a_chi_square_when_they_are_many(ramp: int) -> None:
    """Also where every text ends before the ramp does."""
    assert chance_of(drawn(alpha=ALPHA, particles=64, ramp=ramp), power_law(ALPHA)) > 0.001


def test_token_temperature_fails_it() -> None:
    rows = [DecodeRow(PROMPT, 0, seed) for seed in range(DRAWS)]
    fixed = {"kind": "fixed", "temperature": 1 / ALPHA}
    counts = counted(
        decode(model_of_four(), rows, [lambda length: build_policy(fixed, prompt_length=length)], **OPTIONS)
    )
    assert chance_of(counts, power_law(ALPHA)) < 1e-9
    assert variation(counts, power_law(ALPHA)) > 0.4
