"""What loading a recipe asks of the environment."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

import temp_processors


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers asks whether the package is installed; a checkout on the path says so by its metadata."""
    try:
        importlib.metadata.version("temp-processors")
    except importlib.metadata.PackageNotFoundError:
        folder = tmp_path / "temp_processors-0.1.0.dist-info"
        folder.mkdir()
        version = temp_processors.__version__
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: temp-processors\nVersion: {version}\n")
        monkeypatch.syspath_prepend(tmp_path)
