"""The example in every docstring of every module runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import temp_processors

ELSEWHERE = (
    *(f"temp_processors.{place}{engine}" for engine in ("vllm", "sglang") for place in ("", "serving.")),
    *(f"temp_processors.integrations.{harness}" for harness in ("lm_eval", "inspect_ai")),
)
"""Modules that import in the environment of their engine or harness alone, whose own tests import them."""
SCRIPTS = ("temp_processors.evaluate_modules.", "temp_processors.custom_generate.recipe", "temp_processors.__main__")
"""Files that another library copies and runs, and the command itself."""
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(temp_processors.__path__, "temp_processors.")
    if module.name not in ELSEWHERE and not module.name.startswith(SCRIPTS)
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name: str, tmp_path: Path) -> None:
    if name.startswith("temp_processors.explore"):
        pytest.importorskip("gradio", reason="the extra `explore` is not installed")
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"tmp_path": tmp_path}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not found.failed
