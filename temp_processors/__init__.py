"""Temperature for Hugging Face generation: policies for `generate()`, experiments and diversity scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temp_processors.adaptive import AdaptiveSharpeningLogitsWarper as AdaptiveSharpeningLogitsWarper
from temp_processors.adaptive import DynamicTemperatureLogitsWarper as DynamicTemperatureLogitsWarper
from temp_processors.adaptive import EDTLogitsWarper as EDTLogitsWarper
from temp_processors.adaptive import EntropyThresholdLogitsWarper as EntropyThresholdLogitsWarper
from temp_processors.audit import Audit as Audit
from temp_processors.audit import audit as audit
from temp_processors.audit import plain_sampling_kwargs as plain_sampling_kwargs
from temp_processors.base import PolicyLogitsWarper as PolicyLogitsWarper
from temp_processors.combine import ProductLogitsWarper as ProductLogitsWarper
from temp_processors.combine import RowsLogitsWarper as RowsLogitsWarper
from temp_processors.continuous import with_policy as with_policy
from temp_processors.custom_generate import custom_generate_path as custom_generate_path
from temp_processors.entropy_target import EntropyTargetLogitsWarper as EntropyTargetLogitsWarper
from temp_processors.evaluate_modules import evaluate_module as evaluate_module
from temp_processors.fixed import FixedTemperatureLogitsWarper as FixedTemperatureLogitsWarper
from temp_processors.fox import FOX_PATH as FOX_PATH
from temp_processors.phase import BlockStartLogitsWarper as BlockStartLogitsWarper
from temp_processors.phase import PhaseLogitsWarper as PhaseLogitsWarper
from temp_processors.policy_config import PolicyConfig as PolicyConfig
from temp_processors.policy_config import build_policy as build_policy
from temp_processors.sampling import SeededSampling as SeededSampling
from temp_processors.scheduled import AnnealedTemperatureLogitsWarper as AnnealedTemperatureLogitsWarper
from temp_processors.scheduled import ScheduledTemperatureLogitsWarper as ScheduledTemperatureLogitsWarper
from temp_processors.shaping import QuadraticLogitsWarper as QuadraticLogitsWarper
from temp_processors.trace import TemperatureTrace as TemperatureTrace
from temp_processors.trace import policy_log_probs as policy_log_probs
from temp_processors.trace import trace_tokens as trace_tokens
from temp_processors.trace_table import TokenTrace as TokenTrace
from temp_processors.truncation import TopPDecayLogitsWarper as TopPDecayLogitsWarper
from temp_processors.truncation import TruncateThenTemperLogitsWarper as TruncateThenTemperLogitsWarper

if TYPE_CHECKING:
    from temp_processors.config import load_config as load_config
    from temp_processors.experiment.run import run_experiment as run_experiment
    from temp_processors.experiment.store import Run as Run

__version__ = "0.1.0"

EXPERIMENTS = {
    "Run": "temp_processors.experiment.store",
    "load_config": "temp_processors.config",
    "run_experiment": "temp_processors.experiment.run",
}


def __getattr__(name: str) -> Any:
    """Names of experiments are imported when they are first asked for: policies alone need neither scipy nor pyarrow."""
    if name not in EXPERIMENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(EXPERIMENTS[name]), name)
