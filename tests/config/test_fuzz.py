"""Mutated configurations are accepted or refused in lines: nothing else comes out, and soon."""

from __future__ import annotations

import pytest

from scripts.fuzz_config import fuzz


@pytest.mark.slow
def test_a_thousand_mutated_configurations() -> None:
    assert fuzz(1000, seed=1, show=False) == []


def test_some_mutated_configurations() -> None:
    assert fuzz(30, seed=2, show=False) == []
