"""The definitions behind every policy, by their public name: entropy, log-probabilities, greedy, temperature over the last axis."""

from temp_processors.policies.distribution import at_temperature as at_temperature
from temp_processors.policies.distribution import finite_count as finite_count
from temp_processors.policies.distribution import greedy as greedy
from temp_processors.policies.distribution import log_probs as log_probs
from temp_processors.policies.distribution import varentropy as varentropy
from temp_processors.policies.distribution import working_dtype as working_dtype
from temp_processors.policies.fast_entropy import entropy as entropy
from temp_processors.policies.fast_entropy import entropy_share as entropy_share
