"""How often one `run` opens the samples that it wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COUNTED = """
import sys
opens = []
def hook(event, args):
    if event == "open" and str(args[0]).endswith("samples.jsonl"):
        opens.append(args[1])
sys.addaudithook(hook)
from temp_processors.cli.app import app
app(sys.argv[1:], standalone_mode=False)
print(len(opens))
"""
MOST = 4
"""Appending, `samples.parquet`, the page with its pictures, and its curve between the temperatures."""


def test_a_run_opens_its_samples_once_a_stage(tmp_path: Path) -> None:
    settings = ["--set", "samples_per_prompt=2", "--set", "max_new_tokens=4", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-c", COUNTED, "run", "fox", "--quiet", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) <= MOST
