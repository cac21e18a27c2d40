"""The samples that are already on disk when a run goes on: which lines can be trusted, and what is drawn again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from temp_processors.runs.checksums import DamagedLineError
from temp_processors.runs.folder import Run, RunFolderError
from temp_processors.runs.sample import Key, Sample, needs_checks, sample_of_line

SHOWN = 5
"""Lines that a remark names; it says how many more there are."""


def fits(_: Sample) -> str | None:
    """The opinion of a caller who knows nothing of the plan: every sample belongs to the run."""
    return None


@dataclass
class Recovered:
    """What is on disk.

    Args:
        done: Keys of the samples that can be trusted.
        dropped: For every line that cannot: where it stood and why it was left out.
    """

    done: set[Key] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        """One line about what was dropped; none where nothing was."""
        if not self.dropped:
            return []
        count = len(self.dropped)
        of_lines = "1 line of samples is" if count == 1 else f"{count:,} lines of samples are"
        more = f"; and {len(self.dropped) - SHOWN:,} more" if len(self.dropped) > SHOWN else ""
        return [f"{of_lines} not trusted; what is missing is drawn again: {'; '.join(self.dropped[:SHOWN])}{more}"]


def recover(folder: Run, objection: Callable[[Sample], str | None] = fits) -> Recovered:
    """Read the samples on disk, drop the lines that cannot be trusted, and merge the files of several processes.

    A last line without its end is what a stopped run leaves; it is dropped without a remark.

    Args:
        folder: A run that was begun, held by this process.
        objection: Why a sample is none of this run's; None where it is one.

    Raises:
        RunFolderError: A file cannot be read or written.
    """
    found = Recovered()
    samples = folder.path / "samples.jsonl"
    parts = sorted(folder.path.glob("samples.*.jsonl"))
    try:
        if samples.exists():
            _rewrite_if_damaged(samples, found, objection)
        for part in parts:
            with samples.open("ab") as out:
                for _, line in _trusted(part, found, objection):
                    out.write(line)
            part.unlink()
    except OSError as error:
        raise RunFolderError(f"{error.filename or samples}: cannot be read or written: {error.strerror}") from error
    return found


def any_samples(folder: Run) -> bool:
    """Whether a sample is on disk once all processes have drawn; merges their files where there are several.

    Raises:
        RunFolderError: A line is damaged already.
    """
    if any(folder.path.glob("samples.*.jsonl")):
        for remark in recover(folder).remarks:
            raise RunFolderError(f"{folder.path}: {remark}")
    samples = folder.path / "samples.jsonl"
    return samples.exists() and samples.stat().st_size > 0


def _rewrite_if_damaged(samples: Path, found: Recovered, objection: Callable[[Sample], str | None]) -> None:
    end = sum(len(line) for _, line in _trusted(samples, found, objection))
    if not found.dropped:
        if end < samples.stat().st_size:
            os.truncate(samples, end)
        return
    partial = samples.with_name(".samples.jsonl.partial")
    with partial.open("wb") as out:
        out.writelines(line for _, line in _trusted(samples, Recovered(), objection))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(samples)


def _trusted(path: Path, found: Recovered, objection: Callable[[Sample], str | None]) -> Iterator[tuple[Sample, bytes]]:
    """The lines of one file that can be trusted, with their samples; `found` learns of them and of all others."""
    if not path.is_file():
        raise RunFolderError(f"{path}: is no regular file")
    needed = needs_checks(path.parent)
    own: set[Key] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path.name}:{number}"
            try:
                sample = sample_of_line(line, needed=needed)
            except DamagedLineError as error:
                if line.endswith(b"\n"):
                    found.dropped.append(f"{where}: {error}")
                continue
            if not line.endswith(b"\n"):
                continue
            reason = "is there twice" if sample.key in own else objection(sample)
            if reason is not None:
                found.dropped.append(f"{where}: {reason}")
            elif sample.key not in found.done:  # else merging was stopped between two files
                yield sample, line
            own.add(sample.key)
            found.done |= {sample.key} if reason is None else set()
