"""Temperature for Hugging Face generation: policies for `generate()`, experiments and diversity scores."""

from temp_processors.adaptive import DynamicTemperatureLogitsWarper as DynamicTemperatureLogitsWarper
from temp_processors.adaptive import EDTLogitsWarper as EDTLogitsWarper
from temp_processors.base import PolicyLogitsWarper as PolicyLogitsWarper
from temp_processors.fixed import FixedTemperatureLogitsWarper as FixedTemperatureLogitsWarper
from temp_processors.policy_config import PolicyConfig as PolicyConfig
from temp_processors.policy_config import build_policy as build_policy
from temp_processors.sampling import SeededSampling as SeededSampling
from temp_processors.scheduled import ScheduledTemperatureLogitsWarper as ScheduledTemperatureLogitsWarper

__version__ = "0.1.0"
