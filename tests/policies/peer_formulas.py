"""Other samplers of `benchmark_processors.py --peers` beside the policies of the same formulas."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import torch

from temp_processors import build_policy
from tests.paths import ROOT

OWN: dict[str, dict[str, Any]] = {
    "fixed": {"kind": "fixed", "temperature": 0.7},
    "dynamic": {"kind": "dynamic", "temperature": 1.0, "range": 0.5},
    "quadratic": {"kind": "quadratic", "factor": 0.3},
    "top_k": {"kind": "top_k", "top_k": 50},
    "top_p": {"kind": "top_p", "top_p": 0.9},
    "min_p": {"kind": "min_p", "min_p": 0.05},
    "typical_p": {"kind": "typical_p", "typical_p": 0.9},
    "top_n_sigma": {"kind": "top_n_sigma"},
    "xtc": {"kind": "xtc", "probability": 1.0},  # the peers always cut
}


def samplers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peer_samplers", ROOT / "scripts" / "peer_samplers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compare(names: list[str], peer: str) -> int:
    """Probabilities under every peer whose name begins so, against those under our policy; how many there were."""
    scores, ids = (
        torch.randn(2, 500, generator=torch.Generator().manual_seed(0)) * 3,
        torch.ones(2, 4, dtype=torch.long),
    )
    module, count = samplers(), 0
    for name, found in module.peers(names).items():
        own = build_policy(OWN[name], prompt_length=2)(ids, scores).softmax(-1)
        for call in (call for label, call in found.items() if label.startswith(peer)):
            other = call(ids, scores)
            rows = (
                other if isinstance(other, torch.Tensor) else torch.stack([module.scores_of(row, 500) for row in other])
            )
            torch.testing.assert_close(
                rows.softmax(-1), own, atol=1e-6, rtol=0, msg=lambda said, name=name: f"{name}: {said}"
            )
            count += 1
    return count
