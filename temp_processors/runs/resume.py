"""Resuming a run: the lock of its folder, the comparison of its settings, and the samples that are already on disk."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from temp_processors.runs.folder import Run, RunFolderError
from temp_processors.runs.sample import sample_key

Key = tuple[str, int, int]
"""Policy name, prompt number, sample number."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the run folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        RunFolderError: Another process holds it, or the folder cannot be written.
    """
    import fcntl

    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = (path / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be written: {error.strerror}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise RunFolderError(
                f"{path}: another process (id {owner}) is writing this run; wait for it, or choose another folder with --out"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def refuse_if_changed(folder: Run, config_yaml: str, model: dict[str, Any]) -> None:
    """Raise `RunFolderError`, with the difference, when the folder was begun with another configuration or model."""
    was = (folder.path / "config.yaml").read_text(encoding="utf-8")
    lines = list(difflib.unified_diff(_settings(was), _settings(config_yaml), lineterm="", n=0))
    changed = [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
    began_with = json.loads((folder.path / "environment.json").read_text(encoding="utf-8")).get("model")
    if began_with != model:
        changed += [f"-model is {began_with}", f"+model is {model}"]
    if changed:
        raise RunFolderError(
            f"{folder.path}: was begun with other settings, so --resume would mix two experiments "
            "(- as begun, + as asked):\n  " + "\n  ".join(changed)
        )


ADDED = {"tokenizer": "auto"}
"""Fields of a configuration that earlier versions did not have, with the value that leaves a run as it was."""


def _settings(text: str) -> list[str]:
    """The lines of a configuration that a resumed run has to share: `out` may differ, and so may what a later version added."""
    settings = {**ADDED, **yaml.safe_load(text)}
    kept = {name: value for name, value in settings.items() if name != "out" and value is not None}
    return yaml.safe_dump(kept, sort_keys=True, allow_unicode=True).splitlines()


def recover(folder: Run) -> set[Key]:
    """Keys of the samples on disk, after cutting off a half-written line and merging the files of several processes."""
    samples = folder.path / "samples.jsonl"
    done = {sample_key(line) for line in _whole_lines(samples)} if samples.exists() else set()
    for part in sorted(folder.path.glob("samples.*.jsonl")):
        with samples.open("ab") as out:
            for line in _whole_lines(part):
                if sample_key(line) not in done:
                    out.write(line)
                    done.add(sample_key(line))
        part.unlink()
    return done


def any_samples(folder: Run) -> bool:
    """Whether a sample is on disk once all processes have drawn; merges their files where there are several."""
    if any(folder.path.glob("samples.*.jsonl")):
        recover(folder)
    samples = folder.path / "samples.jsonl"
    return samples.exists() and samples.stat().st_size > 0


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Every whole line; from the first one that is not whole, the file is cut off."""
    with path.open("rb") as lines:
        end = 0
        for line in lines:
            if not _is_whole(line):
                break
            end += len(line)
            yield line
    if end < path.stat().st_size:
        os.truncate(path, end)


def _is_whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
