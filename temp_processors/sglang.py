"""The door of SGLang: the processor that requests name, and `fields_of(policy)`, what they carry; see `serving/sglang.py`."""

from temp_processors.serving.sglang import TemperaturePolicyLogitProcessor as TemperaturePolicyLogitProcessor
from temp_processors.serving.sglang import fields_of as fields_of
