"""What is on disk: the run folder. Data first, `DONE` last: its existence means that the run is complete."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import torch

from temp_processors.config import ExperimentConfig

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "evaluate", "numpy", "pydantic")
FILES = ("config.yaml", "environment.json", "stack.json", "samples.jsonl", "metrics.json", "comparison.csv", "DONE")


class RunFolderError(ValueError):
    """The run folder cannot be used as asked; the message says what to do."""


@dataclass(frozen=True)
class Sample:
    """One continuation, as a line of `samples.jsonl`.

    `token_ids` are the new tokens without the end-of-sequence token; `log_prob` is their summed natural-log probability
    (end-of-sequence included where it was drawn) under the model without any temperature.
    """

    policy: str
    prompt_id: int
    sample_id: int
    seed: int
    prompt: str
    text: str
    token_ids: list[int]
    finish_reason: Literal["stop", "length"]
    log_prob: float

    @property
    def scored_tokens(self) -> int:
        """How many tokens `log_prob` sums over."""
        return len(self.token_ids) + (self.finish_reason == "stop")


class RunFolder:
    """Writes and reads one run folder.

    Args:
        path: The folder. It is made when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def complete(self) -> bool:
        """Whether the run that wrote this folder finished."""
        return (self.path / "DONE").exists()

    def refuse_if_used(self, overwrite: bool) -> None:
        """Raise `RunFolderError` when there is a run in the folder that nobody said to replace."""
        if overwrite or not any((self.path / name).exists() for name in FILES):
            return
        state = "holds a complete run" if self.complete else "holds an unfinished run"
        raise RunFolderError(f"{self.path}: {state}; choose another folder with --out, or replace it with --overwrite")

    def start(self, config: ExperimentConfig, stack: Any, *, overwrite: bool = False) -> None:
        """Make the folder and write what is known before generating.

        Raises:
            RunFolderError: The folder holds a run and `overwrite` is False, or it cannot be written.
        """
        self.refuse_if_used(overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in reversed(FILES):
                (self.path / name).unlink(missing_ok=True)
            self.write("config.yaml", config.to_yaml())
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written: {error.strerror}") from error
        self.write("environment.json", json.dumps(environment(), indent=2) + "\n")
        self.write("stack.json", json.dumps(stack, indent=2) + "\n")

    def write(self, name: str, text: str) -> None:
        """Write one file whole or not at all."""
        partial = self.path / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path / name)

    def open_samples(self) -> TextIO:
        """`samples.jsonl`, opened to append; flush after every line."""
        return (self.path / "samples.jsonl").open("a", encoding="utf-8")

    def samples(self) -> Iterator[Sample]:
        """Every sample on disk, one at a time."""
        with (self.path / "samples.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                yield Sample(**json.loads(line))

    def finish(self) -> None:
        """Mark the run as complete."""
        self.write("DONE", "")


def sample_line(sample: Sample) -> str:
    """One line of `samples.jsonl`, newline included."""
    return json.dumps(asdict(sample), ensure_ascii=False) + "\n"


def environment() -> dict[str, Any]:
    """Versions and hardware that may move a result."""
    from temp_processors import __version__

    return {
        "temp_processors": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }
