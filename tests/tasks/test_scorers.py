"""Scorers: tables of answers with their marks, programs that really run, a server that really answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError, Tools
from temp_processors.tasks.scorers.kinds import SCORERS, ScorerConfig, scorer
from temp_processors.tasks.scorers.python_tests import passes
from temp_processors.tasks.task import Task, TaskError, score_texts
from tests.engines.faulty_server import MODELS, serving

READ: TypeAdapter[Scorer] = TypeAdapter(ScorerConfig)
ROMAN = {"options": ["Rome", "Paris", "Oslo"]}


def item(answer: str, *references: str, **row: Any) -> Item:
    return Item(answer, references, row, answer)


@pytest.mark.parametrize(
    ("given", "answer", "references", "expected"),
    [
        ("exact", "Paris.", ("paris",), 1),
        ("exact", '"Paris"', ("Paris",), 1),
        ("exact", "**Paris**!", ("Paris",), 1),
        ("exact", "in Paris", ("Paris",), 0),
        ("exact", "ß", ("ss",), 1),
        ({"kind": "exact", "normalise": "none"}, "Paris", ("paris",), 0),
        ({"kind": "exact", "normalise": "spaces"}, "a  b", ("a b",), 1),
        ({"kind": "exact", "normalise": "spaces"}, "A b", ("a b",), 0),
        ({"kind": "exact", "normalise": "squad"}, "The cat!", ("cat",), 1),
        ("one_of", "hot", ("warm", "Hot"), 1),
        ("one_of", "cold", ("warm", "hot"), 0),
        ("contains", "It is Paris.", ("Paris",), 1),
        ("contains", "Parisian", ("Paris",), 0),
        ("contains", "15", ("5",), 0),
        ("contains", "15 or 5", ("5",), 1),
        ("contains", "C++ is it", ("c++",), 1),
        ({"kind": "contains", "words": False}, "15", ("5",), 1),
        ("number", "12.0", ("12",), 1),
        ("number", "12.1", ("12",), 0),
        ("number", "about $1,200", ("1200",), 1),
        ("number", "none", ("12",), 0),
        ("number", "12", ("none",), None),
        ({"kind": "number", "tolerance": 0.1}, "12.1", ("12",), 1),
        ({"kind": "number", "tolerance": 0.1}, "12.1000001", ("12",), 0),
        ({"kind": "number", "relative": 0.01}, "-99", ("-100",), 1),
        ({"kind": "number", "relative": 0.01}, "98.9", ("100",), 0),
        ("choice", "(B) Paris", ("B",), 1),
        ("choice", "A", ("B",), 0),
        ("choice", "Paris", ("B",), 0),
        ("choice", "B", ("?",), None),
        ({"kind": "choice", "options": "options"}, "Paris.", ("B",), 1),
        ({"kind": "choice", "options": "options"}, "B", ("B",), 1),
        ({"kind": "choice", "options": "options"}, "Oslo", ("B",), 0),
        ("json_valid", '{"a": [1]}', (), 1),
        ("json_valid", "{'a': 1}", (), 0),
        ("json_valid", "NaN", (), 0),
        ("json_valid", "[" * 100_000, (), 0),
        ({"kind": "json_schema", "schema": {"items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}}, "[1]", (), 1),
        ({"kind": "json_schema", "schema": {"type": "array", "items": {"type": "integer"}}}, '[1, "x"]', (), 0),
        ({"kind": "json_schema", "schema": {"type": "array"}}, "no", (), 0),
    ],
)  # fmt: skip
def test_marks(given: Any, answer: str, references: tuple[str, ...], expected: float | None) -> None:
    mark = READ.validate_python(given).score(item(answer, *references, **ROMAN))
    assert mark.value == expected
    assert mark.value is not None or mark.reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("exakt", r"'exakt' is not a kind of score \(did you mean 'exact'\?\)"),
        ({"kind": "exact", "normalise": "lower"}, "'none', 'spaces', 'text' or 'squad'"),
        ({"kind": "number", "tolerance": -1}, "greater than or equal to 0"),
        ({"kind": "json_schema", "schema": {"type": "objekt"}}, "is no JSON schema: type: 'objekt' is not valid"),
        ({"kind": "json_schema", "schema": {"$ref": "http://x/y.json"}}, "refers to 'http://x/y.json': only references inside"),
        ("json_schema", "'json_schema' alone says too little: write {kind: json_schema, schema: ...}"),
        ({"kind": "python_tests", "tests": "tests", "program": "{tests}"}, "pattern"),
        ({"kind": "judge", "base_url": "http://x/v1", "model": "m", "lowest": 1.0, "highest": 1.0}, "`lowest` has to be below"),
        ("a b:c", "pattern"),
    ],
)  # fmt: skip
def test_bad_options(given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        READ.validate_python(given)


def test_every_kind_writes_and_reads_back() -> None:
    needed: dict[str, dict[str, Any]] = {
        "json_schema": {"schema": {"type": "object"}},
        "similarity": {"model": "fox"},
        "python_tests": {"tests": "tests"},
        "function": {"function": "a:b"},
        "judge": {"base_url": "http://localhost:1/v1", "model": "m"},
    }
    for kind in SCORERS:
        found = READ.validate_python({"kind": kind, **needed.get(kind, {})})
        assert READ.validate_python(READ.dump_python(found, mode="json")) == found


@pytest.mark.parametrize(
    ("program", "value", "reason"),
    [
        ("def f():\n    return 1\n\nassert f() == 1", 1, None),
        ("assert False, 'no'", 0, "AssertionError: no"),
        ("x = (", 0, "SyntaxError: '(' was never closed"),
        ("import sys; sys.exit(0)", 0, "ended with code 0 before the tests were over"),
        ("import os; os._exit(0)", 0, "ended with code 0 before the tests were over"),
        ("print('x' * 20_000_000)", 0, "OSError: [Errno 27] File too large"),
        ("x = bytearray(900_000_000)", 0, "MemoryError"),
        ("import os; assert os.listdir() == [] and 'HOME' not in os.environ", 1, None),
        ("print('hello')", 1, None),
    ],
)
def test_programs(program: str, value: float, reason: str | None) -> None:
    assert passes(program, seconds=20, megabytes=512) == Mark(value, reason)


def test_a_program_that_does_not_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    begun = time.monotonic()
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\nwhile True: pass"
    assert passes(child, seconds=1) == Mark(0.0, "took more than 1 s")
    assert time.monotonic() - begun < 6


def test_programs_have_no_network_where_the_note_says_so() -> None:
    tests = scorer("python_tests", tests="tests")
    if "without a network" not in tests.notes()[0]:
        pytest.skip("this system makes no network namespace for a user")
    asked = "import socket; assert [name for _, name in socket.if_nameindex()] == ['lo']"
    assert passes(asked).value == 1


def test_programs_run_only_when_allowed() -> None:
    tests = scorer("python_tests", tests="tests")
    with pytest.raises(ScorerError, match="--allow-code-execution"):
        list(tests.score_all([item("x = 1", tests="assert x == 1")], Tools()))
    allowed = Tools(allow_code_execution=True)
    rows = [item("x = 1", tests="assert x == 1"), item("x = 2", tests="assert x == 1")]
    assert [mark.value for mark in tests.score_all(rows, allowed)] == [1, 0]


def test_the_program_of_humaneval() -> None:
    row = {"prompt": "def inc(x):\n", "test": "def check(f):\n    assert f(1) == 2\n", "entry_point": "inc"}
    program = "{prompt}{answer}\n{tests}\ncheck({entry_point})"
    tests = scorer("python_tests", tests="test", program=program)
    assert tests.score(item("    return x + 1", **row)).value == 1
    assert tests.score(item("    return {x}", **row)).value == 0


def test_functions(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def good(answer, row):\n    return len(answer) / row['most']\n"
        "def reason(answer, row):\n    return 'too short'\n"
        "def broken(answer, row):\n    return row['nothing']\n"
    )
    context = {"folder": tmp_path}

    def read(name: str) -> Scorer:
        return READ.validate_python(name, context=context)

    assert read("mine:good").score(item("ab", most=4)) == Mark(0.5)
    assert (
        read("mine:good").score(item("abcdefgh", most=4)).reason
        == "mine:good returned 2.0, which is no number in [0, 1]"
    )
    assert read("mine:reason").score(item("ab")) == Mark(None, "too short")
    assert read("mine:broken").score(item("ab")) == Mark(None, "mine:broken raised KeyError: 'nothing'")
    assert read("mine:good").notes() == [f"good: runs mine:good from {tmp_path / 'mine.py'}"]
    assert READ.validate_python(READ.dump_python(read("mine:good"), mode="json")) == read("mine:good")
    with pytest.raises(ScorerError, match="has no function 'none'"):
        read("mine:none").prepare(Tools())


def test_functions_come_from_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.py").write_text("raise SystemExit('was run')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    with pytest.raises(ScorerError, match="is neither a file beside the configuration nor an installed package"):
        READ.validate_python("elsewhere:f", context={"folder": tmp_path / "configs"}).prepare(Tools())
    with pytest.raises(ScorerError, match=r"elsewhere\.py: cannot be imported: SystemExit: was run"):
        READ.validate_python("elsewhere:f", context={"folder": tmp_path}).prepare(Tools())
    READ.validate_python("temp_processors.fox.grammar:sample_story").prepare(Tools())
    READ.validate_python("json:dumps").prepare(Tools())


def test_similarity() -> None:
    close = scorer("similarity", model="fox")
    same, near, far = close.score_all(
        [
            item("The fox ran home", "The fox ran home"),
            item("The fox ran", "The fox ran home"),
            item("1 + 1", "The fox ran"),
        ],
        Tools(),
    )
    assert same.value == pytest.approx(1)
    assert near.value is not None
    assert far.value is not None
    assert 0 <= far.value < near.value < 1
    assert scorer("similarity", model="fox", threshold=0.999).score(item("1 + 1", "The fox")).value == 0
    with pytest.raises(ScorerError, match="'nowhere/model' is no model that can be loaded"):
        scorer("similarity", model="nowhere/model").prepare(Tools())


class _Chat(BaseHTTPRequestHandler):
    """An OpenAI-compatible server whose judge repeats what stands behind `SAY` in the question."""

    asked: list[dict[str, Any]]

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "judge"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(body)
        said = body["messages"][0]["content"].rpartition("SAY ")[2]
        if said == "error":
            self._send(400, {"error": "no"})
        elif said == "form":
            self._send(200, {"choices": []})
        else:
            self._send(200, {"choices": [{"message": {"content": said}}]})

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def chat() -> Iterator[str]:
    _Chat.asked = []
    with HTTPServer(("127.0.0.1", 0), _Chat) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_judge(chat: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "base_url": chat,
        "model": "judge",
        "template": "{prompt} {answer}",
        "highest": 10.0,
        "retries": 0,
    }
    judge, tools = scorer("judge", **options), Tools(cache=tmp_path)
    judge.prepare(tools)
    said = [
        "SAY 7",
        "SAY Grade: 7",
        "SAY 7/10",
        "SAY 7 out of 10.",
        "SAY **7**",
        "SAY 12",
        "SAY It is good, 7",
        "SAY error",
        "SAY form",
        "SAY ",
    ]
    marks = list(judge.score_all([item(text, prompt="Q") for text in [*said, "SAY 7"]], tools))
    assert [mark.value for mark in marks] == [0.7, 0.7, 0.7, 0.7, 0.7, None, None, None, None, None, 0.7]
    assert [mark.reason for mark in marks[5:10]] == [
        "the judge's grade 12 is outside of 0 to 10",
        "the judge wrote prose instead of a grade: 'It is good, 7'",
        'the judge did not answer: 400: {"error": "no"}',
        "the judge's server answered in another form than chat completions",
        "the judge wrote prose instead of a grade: ''",
    ]
    assert len(_Chat.asked) == len(said)
    assert list(judge.score_all([item("SAY 7", prompt="Q")], tools)) == [Mark(0.7)]
    assert len(_Chat.asked) == len(said)
    assert _Chat.asked[0]["temperature"] == 0
    with pytest.raises(ScorerError, match="serves judge, but not 'other'"):
        scorer("judge", **{**options, "model": "other"}).prepare(tools)
    with pytest.raises(ScorerError, match="does not say which models it has"):
        scorer("judge", **{**options, "base_url": "http://127.0.0.1:9/v1"}).prepare(tools)


def test_the_keys_of_a_judge_are_sent_to_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password goes before a key; neither is shown, written, or taken along to where a redirect leads."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-12345")
    with serving() as server:
        for address, header in (
            (f"http://me:hunter2@{server.address}/v1?key=hunter3", "Basic bWU6aHVudGVyMg=="),
            (f"http://{server.address}/v1", "Bearer sk-12345"),
        ):
            judge = scorer("judge", base_url=address, model="fox", retries=0)
            judge.prepare(Tools())
            assert server.headers_seen[-1]["Authorization"] == header
            assert "hunter" not in judge.model_dump_json() + repr(judge) + str(judge.notes())
        server.models_fault = MODELS["301"].does
        with pytest.raises(ScorerError, match="does not say which models it has: 301"):
            judge.prepare(Tools())
        said = {"error": "bad key sk-12345"}
        server.models_fault = lambda handler, body: handler.json(said, 401)
        with pytest.raises(ScorerError, match=r"401: .*bad key \*\*\*"):
            judge.prepare(Tools())
        server.models_fault = MODELS["HTML"].does
        with pytest.raises(ScorerError, match="does not say which models it has"):
            judge.prepare(Tools())
        server.models_fault = lambda handler, body: handler.bytes(b"{}", Content_Length="50", Connection="close")
        with pytest.raises(ScorerError, match=r"no whole answer: IncompleteRead|does not say"):
            scorer("judge", base_url=address, model="fox", retries=0, timeout=0.5).prepare(Tools())
    with pytest.raises(ScorerError, match=r"was written without its key"):
        scorer("judge", base_url="http://***@localhost/v1", model="fox").prepare(Tools())


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ({"reference": "answr", "score": "exact"}, {"answer": 1}, r"row 1 of q: there is no column 'answr' \(did you mean 'answer'\?\)"),
        ({"reference": "answer", "score": "exact"}, {"answer": " "}, "row 1 of q: column 'answer' is empty"),
        ({"reference": "answer", "score": "exact"}, {"answer": None}, "row 1 of q: column 'answer' is empty"),
        ({"answer": "number", "reference": "right", "score": "exact"}, {"right": "six"}, "holds 'six', from which 'number' takes no"),
        ({"reference": "answer", "score": "exact"}, {"answer": ["a"]}, "is no text and no number, but list"),
        ({"reference": "answer", "score": "one_of"}, {"answer": []}, "holds an empty list"),
        ({"reference": "answer", "score": ["one_of", "exact"]}, {"answer": ["a"]}, "holds a list, which is for `one_of` alone"),
        ({"score": {"kind": "python_tests", "tests": "tests"}}, {"test": "x"}, "there is no column 'tests'"),
        ({"reference": "a", "score": {"kind": "choice", "options": "options"}}, {"a": "B"}, "there is no column 'options'"),
    ],
)  # fmt: skip
def test_rows_that_do_not_go_with_the_task(task: Any, row: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Task.model_validate(task).check_rows([row], "q")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"score": "exact"}, "`reference` is required and missing: 'exact' compares with it"),
        ({"reference": "a", "score": ["exact", "exact"]}, "`score` has two named 'exact': give each a `name`"),
        ({"reference": "a", "score": []}, "at least 1 item"),
        ({"reference": "a", "score": "exact", "margin": 2.0}, "less than 1"),
    ],
)
def test_tasks_that_do_not_hold_together(task: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Task.model_validate(task)


def test_texts_are_scored_by_several_scorers_and_equal_texts_once() -> None:
    task = Task.model_validate(
        {"answer": {"kind": "regex", "pattern": "(?:a+a+)+b|is (\\w+)", "seconds": 0.05},
         "reference": "right", "score": ["exact", {"kind": "contains", "name": "in it"}]}
    )  # fmt: skip
    texts = [("is Paris", 0), ("is Rome", 0), ("is Paris", 0), ("is Paris", 1), ("none", 0), ("a" * 5000, 0)]
    found = list(score_texts(task, texts, [{"right": "paris"}, {"right": "Rome"}]))
    assert [one.marks["exact"].value for one in found] == [1, 0, 1, 0, 0, None]
    assert [one.marks["in it"].value for one in found] == [1, 0, 1, 0, 0, None]
    assert [one.vote for one in found] == ["paris", "rome", "paris", "paris", None, None]
    assert found[0] is found[2]
    assert found[5].marks["exact"].reason == "the pattern took more than 0.05 s on this text"
