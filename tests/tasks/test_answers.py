"""The other kinds of answer: whole, first line, JSON, code, a pattern of the user's own, and the tag that an answer stands behind."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from temp_processors.tasks.answers.base import Extractor
from temp_processors.tasks.answers.kinds import ANSWERS, AnswerConfig, extractor

READ: TypeAdapter[Extractor] = TypeAdapter(AnswerConfig)

WRITTEN: tuple[tuple[str, str, str | None], ...] = (
    ("whole", " a fox\n", "a fox"), ("whole", "a\nb", "a\nb"), ("whole", " \n", None), ("whole", "", None),
    ("first_line", "Paris.\nQ: x", "Paris."), ("first_line", "\n\n  Paris\n", "Paris"),
    ("first_line", "Paris\r\nx", "Paris"), ("first_line", "\n \n", None),
    ("code", "x = 1", "x = 1"), ("code", "    return 1\n", "    return 1\n"), ("code", "```\nx\n```", "x\n"),
    ("code", "```python\nx = 1\n```", "x = 1\n"),
    ("code", "Use:\n```py\na\n```\nor\n```py\nb\n```\nEnd", "b\n"), ("code", "```python\nx = 1\ny", "x = 1\ny"),
    ("code", "~~~\nx\n~~~", "x\n"),
    ("code", "1. so:\n   ```python\n   x\n   ```", "   x\n"), ("code", "", None), ("code", "```\n\n```", None),
    ("code", "a `b` c", "a `b` c"),
    ("json", '{"a": 1}', '{"a":1}'), ("json", ' {"b": 1, "a": 2} ', '{"a":2,"b":1}'), ("json", "[1, 2]", "[1,2]"),
    ("json", "3", "3"), ("json", '"x"', '"x"'),
    ("json", "true", "true"), ("json", "null", "null"), ("json", "```json\n{\"a\": 1}\n```", '{"a":1}'),
    ("json", "```\n[1]\n```", "[1]"),
    ("json", 'Sure: {"a": 1}.', '{"a":1}'), ("json", 'first {"a": 1} then {"a": 2}', '{"a":2}'),
    ("json", '```json\n{"a": 1}\n```\nor {"a": 2}', '{"a":1}'),
    ("json", '```json\n{"a": 1', None), ("json", '{"a": 1', None), ("json", '{"a": {"b": 1}', None),
    ("json", '{"a": "x', None), ("json", "{a: 1}", None),
    ("json", "{'a': 1}", None), ("json", '{"a": NaN}', None), ("json", "no", None), ("json", "", None),
    ("json", '{"a": 1,}', None),
    ("json", "[see: {\"a\": 1}]", '{"a":1}'), ("json", '{"a": "é"}', '{"a":"é"}'),
    ("json", '{"a": "\\u00e9"}', '{"a":"é"}'), ("json", '{"a": "}"}', '{"a":"}"}'),
    ("json", "[" * 5000, None), ("json", '{"a": 1}\n{"b": 2}', '{"b":2}'),
    ("json", '```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```', '{"a":2}'),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "expected"), WRITTEN, ids=lambda value: repr(value)[:40])
def test_the_answer_of_a_text(kind: str, text: str, expected: str | None) -> None:
    assert extractor(kind).extract(text).text == expected


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({"pattern": r"= (\d+)"}, "1 = 2 = 3", "2"),
        ({"pattern": r"= (\d+)", "take": "last"}, "1 = 2 = 3", "3"),
        ({"pattern": r"(the) (?P<answer>\w+)"}, "the fox", "fox"),
        ({"pattern": r"a(b)?"}, "a ab", "b"),
        ({"pattern": r"ANSWER: (.*)", "ignore_case": True}, "answer: x \ny", "x"),
        ({"pattern": r"(?s)<a>(.*?)</a>"}, "<a>\nx\n</a>", "x"),
        ({"pattern": r"= (\d+)"}, "none", None),
        ({"pattern": r"=( *)"}, "= ", None),
    ],
)
def test_regex(options: dict[str, Any], text: str, expected: str | None) -> None:
    assert extractor("regex", **options).extract(text).text == expected


def test_a_regex_that_needs_minutes_is_stopped_and_says_so() -> None:
    slow = extractor("regex", pattern=r"(a+a+)+b", seconds=0.05)
    begun = time.monotonic()
    answer = slow.extract("a" * 5000)
    assert time.monotonic() - begun < 2
    assert answer == (None, "the pattern took more than 0.05 s on this text", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "regex", "pattern": "a"}, "has no group"),
        ({"kind": "regex", "pattern": "(a)(b)"}, "has 2 groups: name the one to take"),
        ({"kind": "regex", "pattern": "(a"}, "is no regular expression"),
        ("regex", r"'regex' alone says too little: write {kind: regex, pattern: ...}"),
        ("nubmer", r"'nubmer' is not a kind of answer \(did you mean 'number'\?\)"),
        ({"pattern": "(a)"}, "`kind` is missing: it says which answer this is; allowed: whole, first_line"),
        (3, "has to be the name of a kind or a mapping"),
        ({"kind": "number", "take": "middle"}, "'first' or 'last'"),
        ({"kind": "whole", "after": ""}, "at least 1 character"),
    ],
)
def test_bad_kinds_and_options(given: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        READ.validate_python(given)


@pytest.mark.parametrize("kind", sorted(set(ANSWERS) - {"regex"}))
def test_after_a_tag(kind: str) -> None:
    behind = extractor(kind, after="</think>")
    text = {"json": '{"a":1}', "number": "3"}.get(kind, "C")
    assert behind.extract(f"5 B [2] </think>{text}").text == text
    assert behind.extract(f"</think> 5 B </think>{text}").text == text
    assert behind.extract(text) == (None, "there is no '</think>' in the text", False)
    assert behind.reference(text).text == text


@given(st.text(), st.sampled_from(sorted(set(ANSWERS) - {"regex"})))
def test_any_text_has_an_answer_or_a_reason(text: str, kind: str) -> None:
    answer = extractor(kind).extract(text)
    assert (answer.text is None) != (answer.reason is None)


def test_references() -> None:
    assert extractor("regex", pattern="= (.)").reference("x").text == "x"
    assert extractor("json").reference({"b": 1, "a": 2}).text == '{"a":2,"b":1}'
    assert extractor("whole").reference(None).reason == "is no text and no number, but NoneType"
    assert extractor("whole").reference("").reason == "is empty"


def test_configurations_write_and_read_back() -> None:
    for kind in ANSWERS:
        options = {"pattern": "(a)"} if kind == "regex" else {}
        found = READ.validate_python({"kind": kind, **options})
        assert READ.validate_python(READ.dump_python(found, mode="json")) == found
