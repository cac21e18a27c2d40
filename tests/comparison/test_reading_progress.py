"""How far reading and counting are: bytes of bytes, compressed or not, and nothing where it is quick."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from rich.console import Console

from temp_processors.comparison import progress, sources
from temp_processors.comparison.progress import Meter
from temp_processors.comparison.scoring import score_sources, stream_sources
from temp_processors.datafiles import Position, read_rows

ROWS = [{"text": f"the fox number {number} ran home"} for number in range(3000)]
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()


@pytest.mark.parametrize(
    ("name", "packed"),
    [("t.jsonl", bytes), ("t.jsonl.gz", gzip.compress), ("t.txt.bz2", bz2.compress), ("t.jsonl.xz", lzma.compress)],
)
def test_a_position_ends_at_the_size_of_the_file(tmp_path: Path, name: str, packed: Callable[[bytes], bytes]) -> None:
    path, position = tmp_path / name, Position()
    path.write_bytes(packed(LINES))
    rows = read_rows(path, position=position)
    next(rows)
    assert position.done > 0
    assert len(list(rows)) == len(ROWS) - 1
    assert position.done == path.stat().st_size


def test_a_position_in_a_table(tmp_path: Path) -> None:
    position = Position()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    assert len(list(read_rows(tmp_path / "t.parquet", position=position))) == len(ROWS)
    assert position.done == (tmp_path / "t.parquet").stat().st_size


@pytest.mark.parametrize("score", [score_sources, stream_sources])
def test_lines_tell_how_far_it_is(
    score: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.jsonl").write_bytes(LINES)
    score([str(tmp_path / "t.jsonl")], ["distinct_1"])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "LINE_EVERY", 0)
    monkeypatch.setattr(sources, "UPDATE_EVERY", 1000)
    score([str(tmp_path / "t.jsonl")], ["distinct_1"])
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("reading t.jsonl: 0 of 0 MB, 0:00 left")
    assert (told[-1] == "counting distinct_1: 1 of 1 steps, 0:00 left") == (score is stream_sources)


def test_a_bar_at_a_terminal_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SHOWN_AFTER", 0)
    out = io.StringIO()
    with Meter("reading", 5e6, "MB", 1e6, Console(file=out, force_terminal=True, width=80)) as meter:
        meter.show(2e6, "a.txt")
        meter._bar.refresh()
    assert "reading a.txt" in out.getvalue()
    assert "2/5 MB" in out.getvalue()
