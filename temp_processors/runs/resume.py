"""Resuming a run: the lock of its folder, the comparison of its settings and model, and its complete results."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from temp_processors.config.yaml_lines import ConfigError, parse_yaml
from temp_processors.runs.checksums import SUMS, read_sums, sum_of, sum_of_file
from temp_processors.runs.folder import Run, RunFolderError

ADDED = {"tokenizer": "auto", "stop": []}
"""Fields of a configuration that earlier versions did not have, with the value that leaves a run as it was."""
ADDED_OPTIONS = {"server": "openai", "endpoint": "auto", "n": 1}
"""The same of the options of the engine."""
FREE = {"batch_size", "out"}
"""Fields that may differ when a run goes on."""
FREE_OPTIONS = {"concurrency", "retries", "retry_wait", "timeout"}
"""Options of the engine that may differ: how a server is asked moves no text. Nor does its address."""
NAMES = {"prompts": "prompts (their tokens)", "tokenizer": "tokenizer"}
"""What is compared beside the model, as the difference calls it."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the run folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        RunFolderError: Another process holds it, or the folder cannot be written or locked.
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
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be locked for one process: {error.strerror}") from error
        try:
            os.truncate(handle.fileno(), 0)
            os.write(handle.fileno(), str(os.getpid()).encode())
        except OSError as error:
            raise RunFolderError(f"{path / '.lock'}: cannot be written: {error.strerror}") from error
        yield


def compare(folder: Run, now: Mapping[str, str]) -> list[str]:
    """Compare what a run was begun with and what it would be begun with now.

    Of a file, its checksum, and what this command would write, two have to agree; the third is written again.

    Args:
        folder: A run that was begun.
        now: What `start_files` gives for this command.

    Returns:
        What a user has to know: files that were written again, and versions that are others now.

    Raises:
        RunFolderError: The settings, the model, the tokenizer or the prompts differ (with the difference), or a file is damaged.
    """
    remarks = _mend(folder, now)
    refuse_if_changed(folder, now["config.yaml"])
    began, asked = _environment(folder), json.loads(now["environment.json"])
    changed = _other_model(began.get("model"), asked["model"])
    if changed:
        raise _changed(folder, changed)
    return remarks + _other_versions(began, asked)


def refuse_if_changed(folder: Run, config_yaml: str) -> None:
    """Raise `RunFolderError`, with the difference, when the folder was begun with another configuration."""
    was, asked = _settings(_text(folder, "config.yaml"), folder), _settings(config_yaml, folder)
    lines = list(difflib.unified_diff(was, asked, lineterm="", n=0))
    changed = [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
    if changed:
        raise _changed(folder, changed)


def _mend(folder: Run, now: Mapping[str, str]) -> list[str]:
    sums = read_sums(folder.path)
    if sums is None:
        return []
    remarks, wrong = [], False
    for name, text in now.items():
        here, known, fresh = sum_of_file(folder.path / name), sums.get(name), sum_of(text.encode())
        if here == known:
            continue
        if fresh not in (here, known):
            raise RunFolderError(
                f"{folder.path / name}: is not as the run wrote it (its checksum in {SUMS} {'differs' if known else 'is missing'}): "
                "damaged or edited; "
                "put the file back from a copy, or begin again with --overwrite"
            )
        if fresh == known:
            folder.write(name, text)
            remarks.append(f"{name}: was damaged or edited, and is as the run wrote it again")
        wrong = wrong or fresh == here
    if wrong:
        folder.sign(*now)
        remarks.append(f"{SUMS}: was damaged, and is written again")
    return remarks


def _text(folder: Run, name: str) -> str:
    path = folder.path / name
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunFolderError(f"{path}: is damaged: byte {error.start} is no UTF-8") from error


def _environment(folder: Run) -> dict[str, Any]:
    path = folder.path / "environment.json"
    try:
        data = json.loads(_text(folder, path.name))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: is damaged: {error}") from error
    if not isinstance(data, dict):
        raise RunFolderError(f"{path}: is damaged: it holds no mapping")
    return data


def _settings(text: str, folder: Run) -> list[str]:
    """The lines of a configuration that a resumed run has to share: without what may differ, and with what a later version added."""
    try:
        data = parse_yaml(text, str(folder.path / "config.yaml")).data
    except ConfigError as error:
        raise RunFolderError(f"{error}: the file is damaged") from error
    if not isinstance(data, dict):
        raise RunFolderError(f"{folder.path / 'config.yaml'}: is damaged: it holds no mapping")
    kept = {name: value for name, value in _given({**ADDED, **data}).items() if name not in FREE}
    if isinstance(options := kept.get("engine_options"), dict):
        held = {**ADDED_OPTIONS, **options}
        kept["engine_options"] = {name: value for name, value in held.items() if name not in FREE_OPTIONS}
    if "base_url" in kept:
        kept["base_url"] = "a server"
    return yaml.safe_dump(kept, sort_keys=True, allow_unicode=True).splitlines()


def _given(value: Any) -> Any:
    """Settings without those that are null, at any depth: a later version may have added them."""
    if isinstance(value, dict):
        return {name: _given(held) for name, held in value.items() if held is not None}
    return [_given(held) for held in value] if isinstance(value, list) else value


def _other_model(was: Any, now: dict[str, Any]) -> list[str]:
    """The lines of the difference between two descriptions of a model; what an earlier version did not record is no difference."""
    if not isinstance(was, dict):
        return [f"-model is {was}", f"+model is {now}"]
    own = [{name: value for name, value in side.items() if name not in NAMES} for side in (was, now)]
    changed = [] if own[0] == own[1] else [f"-model is {own[0]}", f"+model is {own[1]}"]
    for name in NAMES:
        if name in was and was[name] != now.get(name):
            changed += [f"-{NAMES[name]}: digest {was[name]}", f"+{NAMES[name]}: digest {now.get(name)}"]
    return changed


def _changed(folder: Run, lines: list[str]) -> RunFolderError:
    return RunFolderError(
        f"{folder.path}: was begun with other settings, so --resume would mix two experiments "
        "(- as begun, + as asked):\n  " + "\n  ".join(lines)
    )


def _other_versions(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """One line that names every package that was of another version when the run began."""
    held = [
        {**_packages(side), **{name: side.get(name) for name in ("temp_processors", "python")}} for side in (was, now)
    ]
    other = [
        f"{name} {held[0][name]} -> {version}"
        for name, version in held[1].items()
        if held[0].get(name) is not None and held[0][name] != version
    ]
    return (
        [f"versions since the run began: {', '.join(other)}; the last bits of its numbers may differ"] if other else []
    )


def _packages(side: dict[str, Any]) -> dict[str, Any]:
    packages = side.get("packages")
    return packages if isinstance(packages, dict) else {}
