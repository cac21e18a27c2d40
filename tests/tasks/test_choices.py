"""The letter that a text chooses, against a table written by hand."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from temp_processors.tasks.answers.choice import Choice
from tests.tasks.written_choices import CHOICES


@pytest.mark.parametrize(("text", "expected"), CHOICES, ids=lambda value: repr(value)[:40])
def test_the_letter_of_a_text(text: str, expected: str | None) -> None:
    assert Choice().extract(text).text == expected


def test_the_table_is_long() -> None:
    assert len({text for text, _ in CHOICES}) >= 200


@pytest.mark.parametrize(
    ("letters", "text", "expected"),
    [("ABCD", "E", None), ("ABCD", "I think E", None), ("ABCD", "The answer is I think B", "B"), ("AB", "(b)", "B")],
)
def test_fewer_letters(letters: str, text: str, expected: str | None) -> None:
    assert Choice(letters=letters).extract(text).text == expected


@pytest.mark.parametrize("letters", ["", "BCD", "ABD", "abcd", "ABCDEFGHIJK"])
def test_letters_are_in_order(letters: str) -> None:
    with pytest.raises(ValidationError, match="has to be the letters of the options in order"):
        Choice(letters=letters)


def test_references() -> None:
    assert Choice().reference("C").text == "C"
    assert Choice().reference("(C) Paris").text == "C"
    assert Choice(counts_from=0).reference(2).text == "C"
    assert Choice(counts_from=1).reference("2").text == "B"
    assert "set `counts_from`" in str(Choice().reference(2).reason)
    assert (
        Choice(letters="ABCD", counts_from=0).reference(4).reason == "there is no option 4 among ABCD, counted from 0"
    )
    assert Choice().reference("Paris").text is None


@given(st.text(max_size=60) | st.text("ABCabcIi ().:*answer isor\n", max_size=40))
def test_any_text_gives_a_letter_or_a_reason(text: str) -> None:
    answer = Choice().extract(text)
    assert (answer.text is None) != (answer.reason is None)
    assert answer.text is None or answer.text in "ABCDEFGHIJ"


@pytest.mark.parametrize(
    "text", ["A " * 20_000, "answer " * 10_000, "(" * 50_000, "*" * 50_000, " " * 50_000, "answer is " * 10_000]
)
def test_long_texts_take_little_time(text: str) -> None:
    begun = time.process_time()
    Choice().extract(text)
    assert time.process_time() - begun < 3
