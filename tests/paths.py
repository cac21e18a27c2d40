"""Where the tests find the checkout, and the outside cases that may lie beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
GOLDEN = ROOT / "tests" / "golden"
"""What peer libraries returned, shipped with the tests."""
