"""What a policy did at every step: recorded while texts are drawn, or computed again from finished ones.

Names are imported from their modules when they are first asked for, so that `trace.columns` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temp_processors.trace.log_probs import TokenLogProbs as TokenLogProbs
    from temp_processors.trace.log_probs import log_probs_from_hidden as log_probs_from_hidden
    from temp_processors.trace.log_probs import policy_log_probs as policy_log_probs
    from temp_processors.trace.recompute import trace_tokens as trace_tokens
    from temp_processors.trace.recorder import TemperatureTrace as TemperatureTrace
    from temp_processors.trace.table import TokenTrace as TokenTrace

PUBLIC = {
    "TemperatureTrace": "recorder",
    "TokenLogProbs": "log_probs",
    "TokenTrace": "table",
    "log_probs_from_hidden": "log_probs",
    "policy_log_probs": "log_probs",
    "trace_tokens": "recompute",
}
"""Every public name, and the module of this room that has it."""

__all__ = [*PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
