"""The door of vLLM: `logits_processors=["temp_processors.vllm:TemperaturePolicyLogitsProcessor"]`; see `serving/vllm.py`."""

from temp_processors.serving.vllm import (
    InstalledTemperaturePolicyLogitsProcessor as InstalledTemperaturePolicyLogitsProcessor,
)
from temp_processors.serving.vllm import TemperaturePolicyLogitsProcessor as TemperaturePolicyLogitsProcessor
from temp_processors.serving.vllm import policy_of_params as policy_of_params
