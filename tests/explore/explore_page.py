"""What the tests of the explorer share: the forms as they begin, and what the page would send."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from temp_processors.explore.forms import field_keys, form, policy_kinds, policy_mapping
from temp_processors.explore.screen import COLUMNS, screen_data
from tests.paths import ROOT

PROMPT = "The quick brown fox"
SETTINGS = 6
"""How many values come before those of the columns."""


@contextmanager
def served(*options: str) -> Iterator[tuple[str, int]]:
    """The page by the real command: its address, and the number of the process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "temp_processors", "explore", *options]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        said = server.stdout.readline()
        found = re.fullmatch(r"open (http://\S+:\d+)/ \(Ctrl-C ends it\)\n", said)
        assert found, said
        yield found[1], server.pid
        server.terminate()


def start(kind: str) -> dict[str, Any]:
    """The policy that a form describes before anybody touches it."""
    return policy_mapping(kind, {field.name: field.start for field in form(policy_kinds()[kind])})


def screen(*policies: dict[str, Any], prompt: str = PROMPT, **changes: Any) -> dict[str, Any]:
    values = {"max_new_tokens": 12, "seed": 1, "samples": 6, **changes}
    return screen_data("fox", prompt, dict(zip(COLUMNS, policies, strict=False)), **values)


def page_values(*kinds: str, prompt: str = PROMPT, tokens: int = 8, **typed: Any) -> list[Any]:
    """What the page sends: settings, then kind and fields of every column."""
    starts = [field.start for model in policy_kinds().values() for field in form(model)]
    fields = [typed.get(name, value) for (_, name), value in zip(field_keys(), starts, strict=True)]
    return [prompt, len(kinds), tokens, 0, 4, "", *(value for kind in kinds for value in (kind, *fields))]
