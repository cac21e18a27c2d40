"""The scripts that time the engine run, and print a line for every side."""

from __future__ import annotations

import re

import pytest

from tests.script_output import output_of


@pytest.mark.slow
def test_engines_prints_its_table() -> None:
    printed = output_of("benchmark_engines.py", "--model", "fox", "--rounds", "1")
    found = dict(re.findall(r"^(ours|generate) +(\d+) tokens/s +[\d.]+ x is ours$", printed, re.M))
    assert set(found) == {"ours", "generate"}
    assert min(map(int, found.values())) > 0
