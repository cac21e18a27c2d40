"""One policy of every kind, as a request to an engine describes it. Token ids are those of a small vocabulary."""

from __future__ import annotations

from typing import Any

from tests.policies.examples import EXAMPLES

FIXED = {"kind": "fixed", "temperature": 0.7}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 6}
DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}

REQUEST_POLICIES: dict[str, dict[str, Any]] = {
    "fixed": FIXED,
    "greedy": {"kind": "fixed", "temperature": 0},
    "cooling": COOLING,
    "reset": {**COOLING, "reset_ids": [14, 16]},
    "annealed": {"kind": "annealed", "decay": 25},
    "dynamic": DYNAMIC,
    "edt": {"kind": "edt", "temperature": 1.0, "theta": 0.3},
    "entropy_threshold": {"kind": "entropy_threshold", "high": 1.2, "low": 0.6},
    "entropy_target": {"kind": "entropy_target", "entropy": 0.5},
    "adaptive_sharpening": {"kind": "adaptive_sharpening"},
    "phase": {"kind": "phase", "open_ids": [14], "close_ids": [16], "inside": DYNAMIC, "outside": COOLING},
    "block_start": {"kind": "block_start", "newline_ids": [14], "indent_ids": [261, 262]},
    "quadratic": {"kind": "quadratic", "factor": 0.5, "curve": 2.0},
    "top_p_decay": {"kind": "top_p_decay", "reset_ids": [16]},
    "product": {"kind": "product", "policies": [COOLING, DYNAMIC], "max_temperature": 1.4},
    "truncate_then_temper": {"kind": "truncate_then_temper", "policy": COOLING, "top_p": 0.9},
}
OTHERS = {config["kind"]: config for config, _ in EXAMPLES.values() if config["kind"] not in ("rows", "monte_carlo")}
"""Kinds that need nothing of this vocabulary are asked for by their example."""
REQUEST_POLICIES |= {
    kind: config for kind, config in OTHERS.items() if kind not in {spec["kind"] for spec in REQUEST_POLICIES.values()}
}
