"""What a policy did at every step: recorded while texts are drawn, or computed again from finished ones."""

from temp_processors.trace.recompute import policy_log_probs as policy_log_probs
from temp_processors.trace.recompute import trace_tokens as trace_tokens
from temp_processors.trace.recorder import TemperatureTrace as TemperatureTrace
from temp_processors.trace.table import TokenTrace as TokenTrace
