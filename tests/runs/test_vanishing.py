"""A run folder that is deleted, renamed, full, read-only or no folder at all: one line, and what was obtained is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.engines import local
from temp_processors.engines.decoding.continuous import draw_continuously
from temp_processors.experiment import results
from temp_processors.runs.folder import Run

SMALL = ["samples_per_prompt=2", "max_new_tokens=4", "metrics=[distinct_1]", "traces=false", "batch_size=4"]
FLAGS = [flag for setting in SMALL for flag in ("--set", setting)]


def command(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["run", "fox", *FLAGS, "--quiet", "--no-report", "--out", str(folder), *more])


def assert_one_line(done: Result, message: str) -> None:
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    (line,) = [line for line in done.stderr.splitlines() if "Loading weights" not in line]
    assert message in line


def after(texts: int, happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen once so many texts are drawn."""
    drawn = 0

    def drawing(*args, **kwargs):
        nonlocal drawn
        for done in draw_continuously(*args, **kwargs):
            yield done
            drawn += 1
            if drawn == texts:
                happens()

    monkeypatch.setattr(local, "draw_continuously", drawing)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vanishing") / "whole"
    assert command(folder).exit_code == 0
    return folder


def lines(folder: Path) -> list[bytes]:
    return sorted((folder / "samples.jsonl").read_bytes().splitlines())


def test_a_folder_that_is_renamed_goes_on_under_its_new_name(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, new = tmp_path / "run", tmp_path / "new"
    after(3, lambda: folder.rename(new), monkeypatch)
    assert_one_line(
        command(folder), "was renamed while the run went on; what was finished is in the file under its new name"
    )
    assert not folder.exists()
    assert len(lines(new)) == 4
    assert set(lines(new)) < set(lines(whole))
    monkeypatch.setattr(local, "draw_continuously", draw_continuously)
    assert command(new, "--resume").exit_code == 0
    assert lines(new) == lines(whole)


def test_a_folder_that_is_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    after(3, lambda: shutil.rmtree(folder), monkeypatch)
    assert_one_line(command(folder), "was deleted while the run went on")


def test_a_folder_that_is_deleted_before_the_scores_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    after(12, lambda: shutil.rmtree(folder), monkeypatch)
    assert_one_line(command(folder), "was deleted")


def test_a_folder_that_is_deleted_while_scoring_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, score = tmp_path / "run", results.score_run

    def deleting(*args, **kwargs):
        scores = score(*args, **kwargs)
        shutil.rmtree(folder)
        return scores

    monkeypatch.setattr(results, "score_run", deleting)
    assert_one_line(command(folder), "the run folder was deleted or renamed while the run went on")


def test_samples_that_somebody_cuts_off_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    folder = tmp_path / "run"
    after(12, lambda: os.truncate(folder / "samples.jsonl", 0), monkeypatch)
    assert_one_line(command(folder), "samples.jsonl: holds 0 of 12 texts that were drawn; go on with --resume")
    monkeypatch.setattr(local, "draw_continuously", draw_continuously)
    assert command(folder, "--resume").exit_code == 0
    assert lines(folder) == lines(whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("name", ["samples.jsonl", "metrics.json"])
def test_a_full_device(name: str, whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / "DONE").unlink()
    (folder / name).unlink()
    (folder / (name if name == "samples.jsonl" else f".{name}.partial")).symlink_to("/dev/full")
    said = "is no regular file" if name == "samples.jsonl" else "No space left on device; every text is kept"
    assert_one_line(command(folder, "--resume"), said)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 1, 3])
def test_a_full_disk_is_one_line_and_goes_on_once_there_is_room(left: int, small_disk: Path, whole: Path) -> None:
    """`left` pages of 4 kB are free when the run begins: the lock, the settings or the samples find no room."""
    with (small_disk / "ballast").open("wb") as ballast:
        ballast.write(bytes(4096 * (15 - left)))
    folder = small_disk / "run"
    assert_one_line(command(folder), "No space left on device")
    held = lines(folder) if (folder / "samples.jsonl").exists() else []
    (small_disk / "ballast").unlink()
    assert command(folder, "--resume").exit_code == 0
    assert lines(folder) == lines(whole)
    assert set(held[:-1]) <= set(lines(whole))


@pytest.mark.parametrize("moment", ["before", "while drawing"])
def test_a_read_only_folder(moment: str, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock() -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=False, capture_output=True)

    if moment == "before":
        lock()
        assert_one_line(command(small_disk / "run"), "cannot be written: Read-only file system")
    else:
        (small_disk / "run").mkdir()
        after(12, lambda: (small_disk / "run" / "DONE").mkdir(), monkeypatch)
        assert_one_line(command(small_disk / "run"), "DONE: cannot be written: Is a directory; every text is kept")


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_a_place_where_no_folder_can_be(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert_one_line(command(tmp_path / place), "cannot be written: ")
    assert (tmp_path / "file").read_text() == "mine"


def test_whatever_happened_before_the_run_is_as_it_was(whole: Path) -> None:
    assert Run.load(whole).damaged_results() == []
