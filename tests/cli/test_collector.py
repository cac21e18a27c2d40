"""The garbage collector of the console command: set by the command, in its own process alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from temp_processors.cli.collector import THRESHOLDS
from tests.paths import ROOT

RUN = """
import gc, sys
default = gc.get_threshold()
from temp_processors.cli import main
assert gc.get_threshold() == default, "importing sets nothing"
sys.argv = ["temp-processors", "run", "fox", "--set", "max_new_tokens=2", "--set", "samples_per_prompt=2", "--quiet", "--out", "run"]
try:
    main()
except SystemExit as end:
    assert not end.code
assert gc.get_threshold() == {ours} and gc.get_freeze_count() > 100_000
assert "pandas" not in sys.modules
"""


@pytest.mark.slow
def test_a_run_leaves_what_it_imports_out_of_the_search_for_garbage(tmp_path: Path) -> None:
    ask = RUN.format(ours=THRESHOLDS)
    subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=300)
