"""Scores, their comparison and text files load nothing of generation: `score` starts in the time that numpy takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

HEAVY = ("torch", "transformers", "datasets", "pyarrow", "scipy.stats", "scipy.sparse", "matplotlib", "pydantic")


def heavy_modules_after(code: str) -> list[str]:
    """Those of `HEAVY` that are loaded once a fresh interpreter has run the code."""
    after = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{after}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("module", ["metrics", "metrics.intervals", "comparison", "comparison.scoring", "datafiles"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert heavy_modules_after(f"import temp_processors.{module}") == []


def test_a_file_of_texts_is_scored_without_anything_heavy(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a b"}\n{"text": "a c"}\n')
    code = "from temp_processors.comparison.scoring import score_sources; score_sources([{!r}], ['distinct_2'])"
    assert heavy_modules_after(code.format(str(path))) == []
