"""The one table of example policies: a new policy adds a line, and is held to the contract, to its kind and to serving.

Each with its temperature at step 1 by hand: prompt [0, 5], one new token 1, and four tokens of equal scores (H = ln 4).
nan where no single temperature says what the policy does.
"""

from __future__ import annotations

import math
from typing import Any

Config = dict[str, Any]

FIXED: Config = {"kind": "fixed", "temperature": 0.5}
LINEAR: Config = {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 4}
DYNAMIC: Config = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}


def scheduled(shape: str, *ends: float, **more: Any) -> Config:
    """A schedule by its shape, start, end and steps."""
    return {"kind": "scheduled", "shape": shape, **dict(zip(("start", "end", "steps"), ends, strict=False)), **more}


EXAMPLES: dict[str, tuple[Config, float]] = {
    "fixed": ({"kind": "fixed", "temperature": 0.7}, 0.7),
    "fixed_one": ({"kind": "fixed", "temperature": 1}, 1.0),
    "fixed_greedy": ({"kind": "fixed", "temperature": 0}, 0.0),
    "fixed_tiny": ({"kind": "fixed", "temperature": 1e-39}, 0.0),
    "fixed_rows": ({"kind": "fixed", "temperature": [0.5, 0.5]}, 0.5),
    "constant": (scheduled("constant", 0.5), 0.5),
    "linear": (scheduled("linear", 1.5, 0.0, 4), 1.125),
    "cosine": (scheduled("cosine", 2.0, 0.5, 5, warmup=2), 4 / 3),
    "geometric": (scheduled("geometric", 2.0, 0.1, 7), 2.0 * 0.05 ** (1 / 7)),
    "exponential": (scheduled("exponential", 2.0, 0.1, 7), 0.1 + 1.9 * math.exp(-1 / 3.5)),
    "piecewise": (scheduled("piecewise", points=[[0, 1], [3, 0.2]]), 1 - 0.8 / 3),
    "reset": (scheduled("linear", 2.0, 0.5, 4, reset_ids=[0, 1, 2, 3, 4]), 2.0),
    "annealed": ({"kind": "annealed", "decay": 3}, 2.2 - math.exp(1 / 3)),
    "dynamic": (DYNAMIC, 1.5),
    "dynamic_from_zero": ({"kind": "dynamic", "temperature": 0.8, "range": 2, "exponent": 2}, 2.8),
    "edt": ({"kind": "edt", "temperature": 1, "theta": 0.3}, 0.8 ** (0.3 / math.log(4))),
    "entropy_threshold": ({"kind": "entropy_threshold", "low": 0.6, "high": 1.2}, 1.2),
    "entropy_target": (
        {"kind": "entropy_target", "entropy": 1.2, "min_temperature": 0.01, "max_temperature": 100},
        0.01,
    ),
    "entropy_target_out_of_reach": ({"kind": "entropy_target", "entropy": 3.3, "max_temperature": 9}, 9.0),
    "monte_carlo": ({"kind": "monte_carlo", "low": 0.7, "high": 0.7, "seeds": [3, 4]}, 0.7),
    "adaptive_sharpening": ({"kind": "adaptive_sharpening"}, 0.571407),
    "phase": ({"kind": "phase", "open_ids": [1, 2], "close_ids": 5, "inside": DYNAMIC, "outside": LINEAR}, 1.25),
    "phase_inside": ({"kind": "phase", "open_ids": [1], "close_ids": 2, "inside": LINEAR, "outside": FIXED}, 1.25),
    "phase_shaping": (
        {
            "kind": "phase",
            "open_ids": 4,
            "close_ids": 5,
            "inside": {"kind": "quadratic", "factor": 0.3},
            "outside": LINEAR,
        },
        1.25,
    ),
    "block_start": ({"kind": "block_start", "newline_ids": list(range(8)), "indent_ids": list(range(8, 15))}, 0.6),
    "block_starts": ({"kind": "block_start", "newline_ids": [5], "indent_ids": [1]}, 0.8),
    "quadratic": ({"kind": "quadratic", "factor": 0.3}, math.nan),
    "cubic": ({"kind": "quadratic", "factor": 0.1, "curve": 3}, math.nan),
    "top_p_decay": ({"kind": "top_p_decay", "decay": 0.8, "reset_ids": [0, 1, 2, 3]}, math.nan),
    "product": (
        {"kind": "product", "policies": [LINEAR, DYNAMIC], "min_temperature": 0.2, "max_temperature": 2.0},
        1.875,
    ),
    "product_clamped": ({"kind": "product", "policies": [FIXED, LINEAR], "max_temperature": 0.5}, 0.5),
    "rows": ({"kind": "rows", "policies": [LINEAR, LINEAR]}, 1.25),
    "truncate": (
        {"kind": "truncate_then_temper", "policy": LINEAR, "top_k": 10, "top_p": 0.9, "min_p": 0.02},
        1.25,
    ),
    "chain": (
        {
            "kind": "chain",
            "steps": [
                LINEAR,
                {"kind": "top_k", "top_k": 20},
                {"kind": "top_p", "top_p": 0.95},
                {"kind": "dynamic", "temperature": 1.0, "range": 0.5},
            ],
        },
        1.875,
    ),
    "chain_of_temperatures": ({"kind": "chain", "steps": [LINEAR, DYNAMIC, FIXED]}, 0.9375),
    "chain_of_cuts": ({"kind": "chain", "steps": [{"kind": "min_p", "min_p": 0.01}, {"kind": "p_less"}]}, math.nan),
    "chain_that_bends": ({"kind": "chain", "steps": [FIXED, {"kind": "quadratic", "factor": 0.3}]}, math.nan),
    "generate": ({"kind": "generate", "temperature": 0.6, "top_k": 20, "top_p": 0.95}, 0.6),
    "checkpoint": ({"kind": "checkpoint", "policy": {"kind": "generate", "temperature": 0.6, "top_k": 0}}, 0.6),
    "top_k": ({"kind": "top_k", "top_k": 6}, math.nan),
    "top_p": ({"kind": "top_p", "top_p": 0.9}, math.nan),
    "min_p": ({"kind": "min_p", "min_p": 0.05}, math.nan),
    "typical_p": ({"kind": "typical_p", "typical_p": 0.6}, math.nan),
    "top_h": ({"kind": "top_h", "top_h": 0.7}, math.nan),
    "epsilon": ({"kind": "epsilon", "epsilon_cutoff": 0.03}, math.nan),
    "eta": ({"kind": "eta", "eta_cutoff": 0.05}, math.nan),
    "top_n_sigma": ({"kind": "top_n_sigma", "n": 1.5}, math.nan),
    "p_less": ({"kind": "p_less"}, math.nan),
    "min_k": ({"kind": "min_k"}, math.nan),
    "ees": ({"kind": "ees"}, math.nan),
    "xtc": ({"kind": "xtc", "probability": 0.4}, math.nan),
    "xtc_then": ({"kind": "xtc", "probability": 1.0, "threshold": 0.05, "then": LINEAR}, math.nan),
}
