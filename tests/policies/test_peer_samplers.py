"""The formulas of other samplers that `benchmark_processors.py --peers` times are those of the policies beside them."""

from __future__ import annotations

import re

import pytest

from tests.policies.peer_formulas import compare
from tests.script_output import output_of


def test_formulas_of_text_generation_webui_are_ours() -> None:
    assert compare(["dynamic", "quadratic", "xtc", "top_n_sigma"], "webui") == 4


@pytest.mark.slow
def test_benchmark_prints_peers_beside_ours() -> None:
    printed = output_of("benchmark_processors.py", "--quick", "--peers", "--seconds", "0.01")
    shares = re.findall(r"^\| 8 \| \d+ \| webui dynamic \|.* ([\d.]+) \|$", printed, re.M)
    assert len(shares) == 3
    assert printed.count("| fixed |") == 3
