"""Mutated configurations are accepted or refused in lines: nothing else comes out, and soon."""

from __future__ import annotations

import pytest

from scripts.fuzz_config import fault, fuzz
from temp_processors.config import shipped_configs


@pytest.mark.slow
def test_a_thousand_mutated_configurations() -> None:
    assert fuzz(1000, seed=1, show=False) == []


def test_some_mutated_configurations() -> None:
    assert fuzz(30, seed=2, show=False) == []


@pytest.mark.parametrize(
    "setting",
    [
        "policies.1.kind=[a]",
        "policies.1.kind={a: 1}",
        "policies.1.kind=",
        "prompts={file: " + "a" * 5000 + "}",
        'prompts={file: "a\\ufeffb.jsonl"}',
        'prompts={file: "a\\u2028b.jsonl"}',
    ],
)
def test_what_the_fuzzer_found_is_refused_in_lines(setting: str) -> None:
    assert fault(shipped_configs() / "fox.yaml", [setting]) is None
