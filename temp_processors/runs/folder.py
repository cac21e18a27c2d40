"""The run folder: data is written first and `DONE` last, so that its existence means that the run is complete."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from temp_processors.config.yaml_lines import ConfigError, read_yaml
from temp_processors.datafiles import expanded
from temp_processors.runs.checksums import SUMS, as_sums, differing, read_sums, sum_of, sum_of_file
from temp_processors.runs.html import run_html
from temp_processors.runs.sample import Samples
from temp_processors.runs.scores import Metrics, readable_scores
from temp_processors.runs.temperatures import fixed_temperatures
from temp_processors.runs.trend import trend_lines
from temp_processors.runs.verdict import answer_lines
from temp_processors.version import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "datasets", "evaluate", "numpy", "pydantic")
FILES = ("config.yaml", "environment.json", SUMS, "stack.json", "samples.jsonl")
RESULTS = (
    *("answers.jsonl", "verdict.json"),
    *("metrics.json", "comparison.csv", "failures.json", "samples.parquet", "traces.parquet", "DONE"),
)
SIGNED = tuple(name for name in (*FILES, *RESULTS) if name not in (SUMS, "samples.jsonl", "DONE"))
"""The files of `SHA256SUMS`; every line of `samples.jsonl` has a checksum of its own."""
KEPT_ANSWERS = "judge.jsonl"
"""What a judge answered: appended to, not signed, and deleted by --overwrite."""
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

    def __repr__(self) -> str:
        """Where it is, and what of it is there.

        Example:
            >>> Run(Path("runs/none"))
            Run('runs/none': nothing there yet)
        """
        return f"Run({str(self.path)!r}: {self._state()})"

    def _state(self) -> str:
        if not self.complete:
            return "unfinished" if self.begun else "nothing there yet"
        try:
            return f"complete, {', '.join(self.metrics)}"
        except RunFolderError:
            return "complete, but its metrics.json is missing or damaged"

    def _repr_html_(self) -> str:
        """The verdict, how scores go with temperature and compare, and a table of them, for notebooks."""
        heading = f"{self.path}: {self._state()}"
        try:
            verdict, scores = self.verdict, readable_scores({"policies": self.metrics}, []) if self.complete else {}
        except RunFolderError:
            verdict, scores = None, {}
        of_task = [verdict["sentence"]] if isinstance(verdict, dict) and verdict.get("sentence") else []
        return run_html(heading, [*of_task, *trend_lines(scores, self._temperatures()), *answer_lines(scores)], scores)

    def _temperatures(self) -> dict[str, float]:
        """Of the policies that are one fixed temperature; none where `config.yaml` cannot be read."""
        try:
            return fixed_temperatures(read_yaml(self.path / "config.yaml").data)
        except ConfigError:
            return {}

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

    def start(self, texts: Mapping[str, str], *, overwrite: bool = False) -> None:
        """Make the folder and write what is known before generating, with its checksums.

        Args:
            texts: What `start_files` gives.
            overwrite: Replace a run that is already there.

        Raises:
            RunFolderError: The folder holds a run and `overwrite` is False, or it cannot be written.
        """
        self.refuse_if_used(overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._clear()
        except OSError as error:
            raise RunFolderError(f"{error.filename or self.path}: cannot be written: {error.strerror}") from error
        *first, last = texts
        for name in first:
            self.write(name, texts[name])
        self.write(SUMS, as_sums({name: sum_of(text.encode()) for name, text in texts.items()}))
        self.write(last, texts[last])  # `begun`: from here on --resume goes on

    def _clear(self) -> None:
        """Delete what an earlier run left, `DONE` first, and nothing that no run writes."""
        for name in (*reversed(RESULTS), *reversed(FILES), KEPT_ANSWERS):
            (self.path / name).unlink(missing_ok=True)
        for old in self.path.glob("plots/*.pdf"):
            if old.with_suffix(".svg").exists():  # a run's own; a PDF alone is somebody else's
                old.unlink()
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
            with partial.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a power cut may not leave the name without the content
            partial.replace(self.path / name)
        except OSError as error:
            raise RunFolderError(f"{self.path / name}: cannot be written: {error.strerror}") from error

    @property
    def begun(self) -> bool:
        """Whether a run was begun here, so that --resume can continue it."""
        samples = (self.path / "samples.jsonl").exists() or any(self.path.glob("samples.*.jsonl"))
        return samples or (self.path / "stack.json").exists()

    def sign(self, *names: str) -> None:
        """Put the checksums of these files into `SHA256SUMS`, or take them out where there is no such file.

        A run of a version that wrote no checksums stays without: its samples have none.
        """
        sums = read_sums(self.path)
        if sums is None:
            return
        digests = {**sums, **{name: sum_of_file(self.path / name) for name in names}}
        known = {name: digest for name in SIGNED if (digest := digests.get(name)) is not None}
        self.write(SUMS, as_sums(known))

    def read_json(self, name: str) -> Any:
        """The data of one file that this run wrote.

        Raises:
            RunFolderError: There is none, it is not JSON, or it differs from its checksum.
        """
        path = self.path / name
        try:
            content = path.read_bytes()
            data = json.loads(content)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise RunFolderError(f"{path}: is damaged: {error}") from error
        if (read_sums(self.path) or {}).get(name, sum_of(content)) != sum_of(content):
            raise RunFolderError(f"{path}: is damaged: its checksum in {SUMS} differs; `run --resume` writes it again")
        return data

    @property
    def metrics(self) -> Metrics:
        """Scores by policy and metric, as in `metrics.json`.

        Raises:
            RunFolderError: The file is missing or damaged.
        """
        data = self.read_json("metrics.json")
        policies = data.get("policies") if isinstance(data, dict) else None
        if not isinstance(policies, dict):
            raise RunFolderError(f"{self.path / 'metrics.json'}: is damaged: it has no `policies`")
        return cast(Metrics, policies)

    @property
    def verdict(self) -> dict[str, Any] | None:
        """Which policies are best on the task, as in `verdict.json`; None for a run without one.

        Raises:
            RunFolderError: The file is damaged.
        """
        return self.read_json("verdict.json") if (self.path / "verdict.json").exists() else None

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Samples that could not be drawn: policy, prompt_id, sample_id, step, reason.

        Raises:
            RunFolderError: The file is damaged.
        """
        found: list[dict[str, Any]] = self.read_json("failures.json") if (self.path / "failures.json").exists() else []
        return found

    def damaged_results(self) -> list[str]:
        """Names of results that are missing or not as the run wrote them; samples are told line by line, see `recover`."""
        sums = read_sums(self.path)
        unsigned = [] if sums is None else [n for n in SIGNED if n not in sums and (self.path / n).exists()]
        return [*differing(self.path, SIGNED), *unsigned]

    @property
    def dataset(self) -> Any:
        """The samples as a `datasets.Dataset`, read from `samples.parquet`."""
        from datasets import Dataset

        for name in differing(self.path, ["samples.parquet"]):
            raise RunFolderError(f"{self.path / name}: is missing or damaged; `run --resume` writes it again")
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
        """Sign the results and mark the run as complete."""
        self.sign(*(name for name in SIGNED if name in RESULTS))
        self.write("DONE", "")


def start_files(config_yaml: str, stack: Any, model: Any = None) -> dict[str, str]:
    """What a run writes before generating: the text of every file by its name, the last one last."""
    return {
        "config.yaml": config_yaml,
        "environment.json": json.dumps({**environment(), "model": model}, indent=2) + "\n",
        "stack.json": json.dumps(stack, indent=2) + "\n",
    }


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
