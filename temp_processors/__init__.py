"""Temperature for Hugging Face generation: policies for `generate()`, experiments and diversity scores.

Importing the package loads nothing heavy: every public name is imported from its module when it is first asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from temp_processors.version import __version__ as __version__

if TYPE_CHECKING:
    from temp_processors.audit import Audit as Audit
    from temp_processors.audit import audit as audit
    from temp_processors.audit import checkpoint_policy as checkpoint_policy
    from temp_processors.audit import plain_sampling_kwargs as plain_sampling_kwargs
    from temp_processors.config import load_config as load_config
    from temp_processors.config import preset as preset
    from temp_processors.custom_generate import custom_generate_path as custom_generate_path
    from temp_processors.engines.decoding.prefill import draw_kwargs as draw_kwargs
    from temp_processors.evaluate_modules import evaluate_module as evaluate_module
    from temp_processors.exchange.formats import export_policy as export_policy
    from temp_processors.exchange.formats import import_policy as import_policy
    from temp_processors.experiment.run import run_experiment as run_experiment
    from temp_processors.fox import FOX_PATH as FOX_PATH
    from temp_processors.metrics.score import Score as Score
    from temp_processors.policies.adaptive import AdaptiveSharpeningLogitsWarper as AdaptiveSharpeningLogitsWarper
    from temp_processors.policies.adaptive import DynamicTemperatureLogitsWarper as DynamicTemperatureLogitsWarper
    from temp_processors.policies.adaptive import EDTLogitsWarper as EDTLogitsWarper
    from temp_processors.policies.adaptive import EntropyThresholdLogitsWarper as EntropyThresholdLogitsWarper
    from temp_processors.policies.annealed import AnnealedTemperatureLogitsWarper as AnnealedTemperatureLogitsWarper
    from temp_processors.policies.base import PolicyLogitsWarper as PolicyLogitsWarper
    from temp_processors.policies.block_start import BlockStartLogitsWarper as BlockStartLogitsWarper
    from temp_processors.policies.chain import ChainLogitsWarper as ChainLogitsWarper
    from temp_processors.policies.checkpoint import CheckpointLogitsWarper as CheckpointLogitsWarper
    from temp_processors.policies.combined import ProductLogitsWarper as ProductLogitsWarper
    from temp_processors.policies.combined import RowsLogitsWarper as RowsLogitsWarper
    from temp_processors.policies.cuts import EpsilonCutLogitsWarper as EpsilonCutLogitsWarper
    from temp_processors.policies.cuts import EtaCutLogitsWarper as EtaCutLogitsWarper
    from temp_processors.policies.cuts import MinPCutLogitsWarper as MinPCutLogitsWarper
    from temp_processors.policies.cuts import TopHCutLogitsWarper as TopHCutLogitsWarper
    from temp_processors.policies.cuts import TopKCutLogitsWarper as TopKCutLogitsWarper
    from temp_processors.policies.cuts import TopPCutLogitsWarper as TopPCutLogitsWarper
    from temp_processors.policies.cuts import TypicalPCutLogitsWarper as TypicalPCutLogitsWarper
    from temp_processors.policies.ees import EESLogitsWarper as EESLogitsWarper
    from temp_processors.policies.entropy_target import EntropyTargetLogitsWarper as EntropyTargetLogitsWarper
    from temp_processors.policies.fixed import FixedTemperatureLogitsWarper as FixedTemperatureLogitsWarper
    from temp_processors.policies.generate import GenerateLogitsWarper as GenerateLogitsWarper
    from temp_processors.policies.kinds import PolicyConfig as PolicyConfig
    from temp_processors.policies.kinds import build_policy as build_policy
    from temp_processors.policies.min_k import MinKLogitsWarper as MinKLogitsWarper
    from temp_processors.policies.mistakes import PolicyMistakesError as PolicyMistakesError
    from temp_processors.policies.monte_carlo import (
        MonteCarloTemperatureLogitsWarper as MonteCarloTemperatureLogitsWarper,
    )
    from temp_processors.policies.p_less import PLessLogitsWarper as PLessLogitsWarper
    from temp_processors.policies.phase import PhaseLogitsWarper as PhaseLogitsWarper
    from temp_processors.policies.quadratic import QuadraticLogitsWarper as QuadraticLogitsWarper
    from temp_processors.policies.scheduled import ScheduledTemperatureLogitsWarper as ScheduledTemperatureLogitsWarper
    from temp_processors.policies.top_n_sigma import TopNSigmaLogitsWarper as TopNSigmaLogitsWarper
    from temp_processors.policies.truncation import TopPDecayLogitsWarper as TopPDecayLogitsWarper
    from temp_processors.policies.truncation import TruncateThenTemperLogitsWarper as TruncateThenTemperLogitsWarper
    from temp_processors.policies.xtc import XTCLogitsWarper as XTCLogitsWarper
    from temp_processors.runs.folder import Run as Run
    from temp_processors.sampling import SeededSampling as SeededSampling
    from temp_processors.serving.continuous import with_policy as with_policy
    from temp_processors.trace import TemperatureTrace as TemperatureTrace
    from temp_processors.trace import TokenLogProbs as TokenLogProbs
    from temp_processors.trace import TokenTrace as TokenTrace
    from temp_processors.trace import log_probs_from_hidden as log_probs_from_hidden
    from temp_processors.trace import policy_log_probs as policy_log_probs
    from temp_processors.trace import trace_tokens as trace_tokens

PUBLIC = {
    "AdaptiveSharpeningLogitsWarper": "policies.adaptive",
    "AnnealedTemperatureLogitsWarper": "policies.annealed",
    "Audit": "audit",
    "BlockStartLogitsWarper": "policies.block_start",
    "ChainLogitsWarper": "policies.chain",
    "CheckpointLogitsWarper": "policies.checkpoint",
    "DynamicTemperatureLogitsWarper": "policies.adaptive",
    "EDTLogitsWarper": "policies.adaptive",
    "EESLogitsWarper": "policies.ees",
    "EntropyTargetLogitsWarper": "policies.entropy_target",
    "EntropyThresholdLogitsWarper": "policies.adaptive",
    "EpsilonCutLogitsWarper": "policies.cuts",
    "EtaCutLogitsWarper": "policies.cuts",
    "FOX_PATH": "fox",
    "FixedTemperatureLogitsWarper": "policies.fixed",
    "GenerateLogitsWarper": "policies.generate",
    "MinKLogitsWarper": "policies.min_k",
    "MinPCutLogitsWarper": "policies.cuts",
    "MonteCarloTemperatureLogitsWarper": "policies.monte_carlo",
    "PLessLogitsWarper": "policies.p_less",
    "PhaseLogitsWarper": "policies.phase",
    "PolicyConfig": "policies.kinds",
    "PolicyLogitsWarper": "policies.base",
    "PolicyMistakesError": "policies.mistakes",
    "ProductLogitsWarper": "policies.combined",
    "QuadraticLogitsWarper": "policies.quadratic",
    "RowsLogitsWarper": "policies.combined",
    "Run": "runs.folder",
    "ScheduledTemperatureLogitsWarper": "policies.scheduled",
    "Score": "metrics.score",
    "SeededSampling": "sampling",
    "TemperatureTrace": "trace",
    "TokenLogProbs": "trace",
    "TokenTrace": "trace",
    "TopHCutLogitsWarper": "policies.cuts",
    "TopKCutLogitsWarper": "policies.cuts",
    "TopNSigmaLogitsWarper": "policies.top_n_sigma",
    "TopPCutLogitsWarper": "policies.cuts",
    "TopPDecayLogitsWarper": "policies.truncation",
    "TruncateThenTemperLogitsWarper": "policies.truncation",
    "TypicalPCutLogitsWarper": "policies.cuts",
    "XTCLogitsWarper": "policies.xtc",
    "audit": "audit",
    "build_policy": "policies.kinds",
    "checkpoint_policy": "audit",
    "custom_generate_path": "custom_generate",
    "draw_kwargs": "engines.decoding.prefill",
    "evaluate_module": "evaluate_modules",
    "export_policy": "exchange.formats",
    "import_policy": "exchange.formats",
    "load_config": "config",
    "log_probs_from_hidden": "trace",
    "plain_sampling_kwargs": "audit",
    "policy_log_probs": "trace",
    "preset": "config",
    "run_experiment": "experiment.run",
    "trace_tokens": "trace",
    "with_policy": "serving.continuous",
}
"""Every public name, and the module below this package that has it."""

__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    """The public names alone, whether they were asked for already or not, and what every module has."""
    return sorted({*(name for name in globals() if name.startswith("__")), *PUBLIC})


class _Package(ModuleType):
    """`temp_processors.audit` is the function, as `from temp_processors import audit` says, and not the room of that name.

    Importing the room binds it here under its name; that assignment is let pass without effect.
    """

    @property
    def audit(self) -> Any:
        return import_module(f"{__name__}.audit").audit

    @audit.setter
    def audit(self, room: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
