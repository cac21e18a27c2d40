"""Fixtures that every test file may use. Nothing here touches the network."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.paths import SHARED

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: small models, and several processes of tests side by side

# `evaluate` and transformers copy modules here and import them by one name: a folder of a user's earlier work would be imported instead.
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="modules-of-tests-")
atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of outside golden cases and checkpoints; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of shared cases is not beside this checkout")
    return SHARED
