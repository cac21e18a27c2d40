"""The trainers of TRL are tested where it is installed, which the environments of other engines (`-m vllm`) are not."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("trl") else ["test_trl_ratios.py", "test_trl_training.py"]
