"""Every format, compression and line end gives the rows that stand there; whatever else is in a file is one line with its place."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from temp_processors.config.prompts import PromptError, PromptSource, prompt_of
from temp_processors.datafiles import RowsError, is_file_name, read_rows
from temp_processors.datafiles.formats import ELSE

ROWS = [{"text": "the fox"}, {"text": "a dog"}, {"text": "one day"}]
JSONL = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
CSV = b"text\nthe fox\na dog\none day\n"


def zstandard(data: bytes) -> bytes:
    target = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(target, "zstd") as out:
        out.write(data)
    packed: bytes = target.getvalue().to_pybytes()
    return packed


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),  # the same bytes at every collection, which name the cases
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}


def rows_of(path: Path, content: bytes) -> list[dict[str, Any]]:
    path.write_bytes(content)
    return list(read_rows(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("A.JSONL", JSONL),
        ("a.jsonlines", JSONL),
        ("a.NdJson", JSONL),
        ("a.json", JSONL),
        ("a.json", json.dumps(ROWS, indent=1).encode()),
        ("B.CSV", CSV),
        ("b.csv", CSV.replace(b"\n", b"\r")),
        ("b.csv", CSV.replace(b"\n", b"\r\n")),
        ("b.csv", b"\xef\xbb\xbf" + CSV),
        ("b.Tsv", CSV),
        ("a.txt", CSV[5:]),
        ("a.txt", CSV[5:].replace(b"\n", b"\r")),
        ("a.TXT", b"\xef\xbb\xbf" + CSV[5:]),
        ("corpus.en", CSV[5:]),
        ("corpus", CSV[5:]),
        ("saved_v1.0", CSV[5:]),
        *((f"x.jsonl{suffix}", pack(JSONL)) for suffix, pack in PACKED.items()),
        *((f"X.CSV{suffix.upper()}", pack(CSV)) for suffix, pack in PACKED.items()),
        ("x.txt.gz", gzip.compress(CSV[5:10], mtime=0) + gzip.compress(CSV[10:], mtime=0)),
        ("x.txt.zst", zstandard(CSV[5:10]) + zstandard(CSV[10:])),
    ],
)
def test_files_are_read_as_what_they_are(tmp_path: Path, name: str, content: bytes) -> None:
    assert rows_of(tmp_path / name, content) == ROWS


@pytest.mark.parametrize("name", ["x.Parquet", "x.pq"])
def test_parquet_by_any_name(tmp_path: Path, name: str) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / name)
    assert list(read_rows(tmp_path / name)) == ROWS


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('"Run," said the fox, and ran\t1', '"Run," said the fox, and ran'),
        ('"an inch (1")\t1', '"an inch (1")'),
        ('a 5" stick\t1', 'a 5" stick'),
        ('"said ""run"" twice"\t1', 'said "run" twice'),
        ("it's\t1", "it's"),
    ],
)
def test_quotes_in_a_tsv_are_text_unless_they_are_around_all_of_it(tmp_path: Path, line: str, text: str) -> None:
    content = "\n".join(["text\tT", "one\t1", line, "three\t1", '"four\t1', "five\t1", ""])
    assert [row["text"] for row in rows_of(tmp_path / "x.tsv", content.encode())] == [
        "one",
        text,
        "three",
        '"four',
        "five",
    ]


def test_a_tsv_that_python_writes_reads_back(tmp_path: Path) -> None:
    texts = ["plain", 'a "quote"', '"', '""', "", "=1"]
    with (tmp_path / "x.tsv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows([["text", "T"], *([text, "1"] for text in texts)])
    assert [row["text"] for row in read_rows(tmp_path / "x.tsv")] == texts


@pytest.mark.parametrize("size", [131_072, 131_073, 1_000_000])
def test_long_cells_are_read_and_the_limit_of_the_process_stays(tmp_path: Path, size: int) -> None:
    before = csv.field_size_limit()
    assert rows_of(tmp_path / "x.csv", b'text\n"' + b"a" * size + b'"\n') == [{"text": "a" * size}]
    assert csv.field_size_limit() == before


DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b"9" * 5_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", b'text,T\na,1\n"b,2\nc,3\nd,4\n', "x.csv:3: is no table: a quote that opens in this row is never closed"),
        ("x.csv", b'text,T\na,1\n"b,2\nc,"3"\n', "x.csv:3: is no table: a quote ends before its field does"),
        ("x.csv", b'text,T\na,1\n"b"c,2\n', "x.csv:3: is no table: a quote ends before its field does"),
        ("x.csv", b"text,T\na,1\nb\n", "x.csv:3: has 1 fields, and the head has 2: text, T"),
        ("x.csv", b"text,T\na,1,2\n", "x.csv:2: has 3 fields, and the head has 2"),
        ("x.csv", b"text,T,text\na,1,b\n", "x.csv: has two columns named 'text'"),
        ("x.tsv", b"text\ttext\na\tb\n", "x.tsv: has two columns named 'text'"),
        ("x.tsv", b"text\tT\na\t1\n\"b\nc\"\t2\n", "x.tsv:3: has 1 fields, and the head has 2"),
        ("x.jsonl", b'{"text": "a"}\n{"text": "a", "text": "b"}\n', "x.jsonl:2: has two values named 'text'"),
        ("x.jsonl", b'{"text": "a"}\n{"text": ' + DEEP + b"}\n", "x.jsonl:2: is nested too deep"),
        ("x.json", b'[{"text": ' + DEEP + b"}]", "x.json:1: is nested too deep"),
        ("x.jsonl", b'{"text": "a", "n": ' + LONG + b"}", "x.jsonl:1: holds a number of more digits than can be"),
        ("x.jsonl", b'{"text": "\\ud800"}', "x.jsonl:1: holds half of a character"),
        ("x.json", b'[{"text": "a"},\n 5]', "x.json: row 2: has to be a JSON object, but is 5"),
        ("x.json", b'[{"text": "a"},\n {"text" 5}]', "x.json:2: is not JSON"),
        ("x.json", b'{"text":\n "a"}', "x.json:1: is not JSON"),
        ("x.jsonl", b"\n[1]\n", "x.jsonl:2: has to be a JSON object, but is [1]"),
        ("x.txt", b"fine\nwith\0 nul\n", "x.txt:2: holds a NUL character"),
        ("x.txt", b"fine\rcaf\xe9\n", "x.txt:2: is not UTF-8 (byte 3 of the line)"),
        ("x.txt", "hello".encode("utf-16"), "x.txt:1: is not UTF-8 (byte 0 of the line)"),
        ("x.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "x.parquet: is not a Parquet file, or damaged"),
        ("x.jsonl.gz", JSONL, "x.jsonl.gz: cannot be read: "),
        ("x.jsonl.gz", gzip.compress(JSONL, mtime=0)[:-9], "x.jsonl.gz: cannot be read: "),
        ("x.jsonl.bz2", JSONL, "x.jsonl.bz2: cannot be read: "),
        ("x.jsonl.xz", lzma.compress(JSONL)[:-9], "x.jsonl.xz: cannot be read: "),
        ("x.jsonl.zst", zstandard(JSONL)[:-5], "x.jsonl.zst: cannot be read: "),
        ("x.parquet.gz", JSONL, "x.parquet.gz: .parquet.gz is not read as texts"),
        *((f"x{suffix}", JSONL, f"x{suffix}: {suffix} is not read as texts: give .txt,") for suffix in sorted(ELSE)),
        ("x.YAML", JSONL, "x.YAML: .yaml is not read as texts"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_place(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(RowsError) as error:
        rows_of(tmp_path / name, content)
    assert str(error.value).startswith(f"{tmp_path}/{said}")
    assert "\n" not in str(error.value)


def test_damage_in_the_middle_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"text": f"fox {i}"} for i in range(1000)]), path)
    content = bytearray(path.read_bytes())
    content[10:2000] = b"\xff" * 1990
    with pytest.raises(RowsError, match=r"x\.parquet: is not a Parquet file, or damaged"):
        rows_of(path, bytes(content))


def test_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(RowsError, match=r"x\.parquet: has two columns named 'text'"):
        list(read_rows(tmp_path / "x.parquet"))


def test_a_dot_in_a_name_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "saved_v1.0").mkdir()
    (tmp_path / "tales.csv").mkdir()
    assert not is_file_name(str(tmp_path / "saved_v1.0"))
    assert not is_file_name(str(tmp_path / "tales.csv"))
    assert not is_file_name("teknium/OpenHermes-2.5")
    assert is_file_name("a" * 5000)
    with pytest.raises(RowsError, match="File name too long"):
        read_rows(Path("a" * 5000))


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("the fox\n")
    assert list(read_rows(Path("~/a.txt"))) == [{"text": "the fox"}]


@pytest.mark.parametrize(
    ("value", "prompt"),
    [
        ("the fox", "the fox"),
        ([{"type": "text", "text": "the "}, {"type": "text", "text": "fox"}], "the fox"),
        ([{"role": "user", "content": "hi"}], [{"role": "user", "content": "hi"}]),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], [{"role": "user", "content": "hi"}]),
        ([{"role": "system", "content": ""}], [{"role": "system", "content": ""}]),
    ],
)
def test_prompts_are_texts_messages_or_content_parts(tmp_path: Path, value: Any, prompt: Any) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"text": value}) + "\n")
    assert PromptSource(file=str(path)).read() == [prompt]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], "row 1, message 1 has to be a text, or messages with role and content, but is '1'"),
        ([None], "row 1, message 1 has to be a text, or messages with role and content, but is 'None'"),
        ([], "row 1 has to be a text, or messages with role and content, but is '[]'"),
        (None, "row 1 has to be a text, or messages with role and content, but is 'None'"),
        (" ", "row 1 has to be a text, or messages with role and content, but is ' '"),
        (5, "row 1 has to be a text, or messages with role and content, but is '5'"),
        ({"role": "user"}, "row 1 has to be a text, or messages with role and content"),
        ([{"role": "user", "content": None}], "row 1, message 1: content has to be a text, but is 'None'"),
        ([{"role": "user", "content": [5]}], "row 1, message 1: content has to be a text, but is '[5]'"),
        ([{"role": None, "content": "a"}], "row 1, message 1: role has to be a text such as 'user', but is 'None'"),
        ([{"role": "user", "content": "a"}, {"role": "x"}], "row 1, message 2 has to be a text, or messages"),
        ([{"type": "image", "url": "x"}], "row 1, message 1 has to be a text, or messages"),
    ],
)  # fmt: skip
def test_what_is_no_prompt_is_told_with_its_row(value: Any, said: str) -> None:
    with pytest.raises(PromptError) as error:
        prompt_of(value, "row 1")
    assert str(error.value).startswith(f"prompts: {said}")


def test_a_parquet_file_is_read_by_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    rows = [{"text": f"fox {number}", "id": number, **{f"c{n}": n for n in range(60)}} for number in range(3)]
    path = tmp_path / "wide.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert list(read_rows(path, "text", ["text"], ["id", "prompt"]))[2] == {"text": "fox 2", "id": 2}
    assert list(read_rows(path)) == list(read_rows(path, "text", ["text", "nowhere"], ["id"])) == rows


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize(
    ("content", "expected"),
    [(JSONL, ROWS), (b"", []), (b"\xff\n", "pipe.jsonl: is not UTF-8")],
    ids=["rows", "none", "latin"],
)
def test_a_pipe_is_a_file(tmp_path: Path, content: bytes, expected: Any) -> None:
    """As `compare <(zcat a.gz)` and `/dev/stdin` are."""
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    assert is_file_name(str(pipe))
    writer = threading.Thread(target=lambda: pipe.write_bytes(content))
    writer.start()
    if isinstance(expected, str):
        with pytest.raises(RowsError, match=expected):
            list(read_rows(pipe))
    else:
        assert list(read_rows(pipe)) == expected
    writer.join()
