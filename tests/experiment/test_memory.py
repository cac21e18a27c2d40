"""Peak memory hardly depends on the number of prompts: results are on disk, not in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

POLICIES = "policies=[{name: cold, kind: fixed, temperature: 0.7}, {name: warm, kind: fixed, temperature: 1.0}]"
MEASURED = """
import resource, sys
from temp_processors.cli.app import app
app(sys.argv[1:], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(prompts: int, folder: Path) -> int:
    """The most memory that the whole command held, page and traces included."""
    file = folder / f"{prompts}.txt"
    file.write_text("".join(f"The fox met {number} dogs\n" for number in range(prompts)))
    settings = [f"prompts={{file: {file}}}", "samples_per_prompt=1", "max_new_tokens=8", POLICIES]
    flags = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-c", MEASURED, "run", "fox", "--quiet", *flags, "--out", str(folder / str(prompts))]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return int(done.stdout)


@pytest.mark.slow
def test_ten_times_the_prompts_take_no_more_memory(tmp_path: Path) -> None:
    assert peak(10_000, tmp_path) < 1.2 * peak(1_000, tmp_path)
