"""How tests run a script of the repository."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.paths import ROOT


def output_of(script: str, *arguments: str, timeout: float = 250) -> str:
    """What `scripts/SCRIPT` prints, in a process of its own on one thread."""
    command = [sys.executable, str(ROOT / "scripts" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=timeout).stdout
