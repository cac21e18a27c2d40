"""What the documents of the repository let a reader do: their fenced blocks, and a reader who does what they say.

The word after a fence says what becomes of it:

* `bash`: every line is a command that is run. `sh` is for what needs another environment, a server or the network.
* `python` is run, each block after the ones before it on the page. `py` is not.
* `yaml` is a part of a configuration that is laid over the shipped one and read; whole files begin with a line `# NAME.yaml` and are
  saved under it for the commands below. Other files (`jsonl`, `text`) are saved by such a line too.
* `text` behind a command or a snippet is what it prints, where `...` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config, shipped_configs
from tests.paths import ROOT

SET_UP = ("python3 -m venv", "source ", ".venv/bin/pip")
SAVED = re.compile(r"^# (\S+\.(?:yaml|py))\n")


class Block(NamedTuple):
    """A fenced block: the word after the fence, what stands in it, the line where it begins."""

    language: str
    text: str
    line: int


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a document in their order."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w+)[^\n]*\n(.*?)^```$", text, flags=re.M | re.S)
    return [Block(block[1], block[2], text.count("\n", 0, block.start()) + 1) for block in found]


def commands_of(block: Block) -> list[str]:
    """The commands of a block that are not the set-up, which every reader has behind them."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith(("#", *SET_UP))]


def run_command(command: str) -> str:
    """What `command` prints. Commands of this package run in this process, which spares each the imports of torch."""
    program, *rest = shlex.split(command, comments=True)
    printed = io.StringIO()
    if program == "temp-processors":
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), pytest.raises(SystemExit) as end:
            app(args=rest)
        assert end.value.code in (0, None), f"{command}\n{printed.getvalue()}"
        return printed.getvalue()
    words = {"python": [sys.executable], "torchrun": [sys.executable, "-m", "torch.distributed.run"]}[program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*words, *rest], env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_snippet(block: Block, scope: dict[str, object], name: str) -> str:
    """What a snippet prints."""
    printed = io.StringIO()
    code = "\n" * block.line + block.text  # so that a traceback names the line of the page
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), scope)
    return printed.getvalue()


def follow(path: Path) -> None:
    """Do what a document says, in the folder where one is, and compare what is printed with what it says is printed."""
    scope: dict[str, object] = {"__name__": "page"}
    printed: str | None = None
    for block in blocks_of(path):
        if saved := SAVED.match(block.text):
            Path(saved[1]).write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            printed = "".join(map(run_command, commands_of(block)))
        elif block.language == "python":
            printed = run_snippet(block, scope, path.name)
        elif block.language == "yaml":
            read_part(block)
        elif block.language == "text" and printed is not None:
            assert says(block.text, printed), f"{path.name}:{block.line}: it prints\n{printed}"
        if block.language not in ("bash", "python"):
            printed = None


def says(expected: str, printed: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, printed, flags)


def read_part(block: Block) -> None:
    """Read a part of a configuration over that of the fox; files that it names do not have to be there."""
    whole = yaml.safe_load((shipped_configs() / "fox.yaml").read_text(encoding="utf-8"))
    path = Path("part.yaml")
    path.write_text(yaml.safe_dump({**whole, **yaml.safe_load(block.text)}, sort_keys=False), encoding="utf-8")
    load_config(path)


def written_beside(folder: Path) -> None:
    """The files that pages call the reader's own."""
    texts = ["The quick brown fox", "A dog sat by the river"]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in texts))
    (folder / "questions.jsonl").write_text('{"question": "How many legs has a fox?", "answer": 4}\n')
    (folder / "stories").mkdir()
    (folder / "stories" / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
