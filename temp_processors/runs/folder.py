"""The run folder: data is written first and `DONE` last, so that its existence means that the run is complete."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from temp_processors.datafiles import expanded
from temp_processors.runs.sample import Samples
from temp_processors.version import __version__

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "evaluate", "numpy", "pydantic")
FILES = ("config.yaml", "environment.json", "stack.json", "samples.jsonl")
RESULTS = ("metrics.json", "comparison.csv", "failures.json", "samples.parquet", "traces.parquet", "DONE")
SHOWN = ("report.html", "comparison.md", "comparison.tex", "plots/*.png", "plots/*.svg")
"""Derived files, deleted by --overwrite."""


class RunFolderError(ValueError):
    """The run folder cannot be used as asked; the message says what to do."""


class Run:
    """One run: its samples, scores and settings, as its folder keeps them.

    Args:
        path: The folder, made by `start`.

    Example:
        >>> from temp_processors import Run, load_config, run_experiment
        >>> path = tmp_path / "two"
        >>> run = run_experiment(load_config("fox", ["samples_per_prompt=2", "max_new_tokens=4"], out=path))
        >>> again = Run.load(path)
        >>> len(again.samples), again.samples[0].policy, again.metrics["T=0.1"]["mean_length"]["value"]
        (12, 'T=0.1', 4.0)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def complete(self) -> bool:
        """Whether the run that wrote this folder finished."""
        return (self.path / "DONE").exists()

    def refuse_if_used(self, overwrite: bool) -> None:
        """Raise `RunFolderError` when there is a run in the folder that nobody said to replace."""
        if overwrite or not any((self.path / name).exists() for name in (*FILES, *RESULTS)):
            return
        ways = "choose another folder with --out, or replace it with --overwrite"
        if self.complete:
            raise RunFolderError(f"{self.path}: holds a complete run; {ways}")
        raise RunFolderError(f"{self.path}: holds an unfinished run; go on with it by --resume, {ways}")

    def start(self, config_yaml: str, stack: Any, model: Any = None, *, overwrite: bool = False) -> None:
        """Make the folder and write what is known before generating.

        Raises:
            RunFolderError: The folder holds a run and `overwrite` is False, or it cannot be written.
        """
        self.refuse_if_used(overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._clear()
            self.write("config.yaml", config_yaml)
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written: {error.strerror}") from error
        self.write("environment.json", json.dumps({**environment(), "model": model}, indent=2) + "\n")
        self.write("stack.json", json.dumps(stack, indent=2) + "\n")

    def _clear(self) -> None:
        """Delete what an earlier run left, `DONE` first, and nothing that no run writes."""
        for name in (*reversed(RESULTS), *reversed(FILES)):
            (self.path / name).unlink(missing_ok=True)
        for pattern in ("samples.*.jsonl", ".*.partial", *SHOWN):
            for old in self.path.glob(pattern):
                old.unlink()
        plots = self.path / "plots"
        if plots.is_dir() and not any(plots.iterdir()):
            plots.rmdir()

    def write(self, name: str, text: str) -> None:
        """Write one file whole or not at all.

        Raises:
            RunFolderError: The disk is full, or the folder is read-only.
        """
        partial = self.path / f".{name}.partial"
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a power cut may not leave the name without the content
            partial.replace(self.path / name)
        except OSError as error:
            raise RunFolderError(f"{self.path / name}: cannot be written: {error.strerror}") from error

    @property
    def begun(self) -> bool:
        """Whether a run was begun here, so that --resume can continue it."""
        return (self.path / "stack.json").exists()

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics of every policy, as in `metrics.json`."""
        policies: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))["policies"]
        return policies

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Samples that could not be drawn: policy, prompt_id, sample_id, step, reason."""
        path = self.path / "failures.json"
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return found

    @property
    def dataset(self) -> Any:
        """The samples as a `datasets.Dataset`, read from `samples.parquet`."""
        from datasets import Dataset

        return Dataset.from_parquet(str(self.path / "samples.parquet"), keep_in_memory=True)

    def to_pandas(self) -> Any:
        """The samples as a pandas `DataFrame`, one row each."""
        return self.dataset.to_pandas()

    @classmethod
    def load(cls, path: Path | str) -> Run:
        """The complete run in a folder.

        Raises:
            RunFolderError: There is none in that folder.
        """
        folder = cls(Path(expanded(str(path))))
        if not folder.complete:
            raise RunFolderError(f"{folder.path}: holds no complete run")
        return folder

    @property
    def samples(self) -> Samples:
        """The samples on disk, read one at a time."""
        return Samples(self.path / "samples.jsonl")

    def finish(self) -> None:
        """Mark the run as complete."""
        self.write("DONE", "")


def environment() -> dict[str, Any]:
    """Versions and hardware that may move a result."""
    import torch

    return {
        "temp_processors": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "git": _git(),
    }


def _git() -> str | None:
    """The commit of the working folder, with `-dirty` where files differ from it; None outside of a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
