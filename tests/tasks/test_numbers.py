"""The number that a text gives, against a table written by hand."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temp_processors.tasks.answers.number import Number, value_of, written
from tests.tasks.written_numbers import NUMBERS


@pytest.mark.parametrize(("text", "expected"), NUMBERS, ids=lambda value: repr(value)[:40])
def test_the_number_of_a_text(text: str, expected: str | None) -> None:
    assert Number().extract(text).text == expected


def test_the_table_is_long_and_repeats_nothing() -> None:
    assert len(NUMBERS) >= 200
    assert len({text for text, _ in NUMBERS}) == len(NUMBERS)


@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
def test_every_fraction_reads_back(value: Fraction) -> None:
    text = written(value)
    assert value_of(text) == value
    assert Number().extract(f"The answer is {text}.").text == text
    assert Number().reference(text).text == text


@given(st.integers(-(10**15), 10**15))
def test_a_number_with_thousands_is_the_same_number(value: int) -> None:
    assert Number().extract(f"{value:,}").text == Number().extract(str(value)).text == str(value)


@given(st.text(max_size=60) | st.text("0123456789,./-^e%$ {}\\frac", max_size=40))
def test_any_text_gives_a_number_in_its_own_form_or_a_reason(text: str) -> None:
    answer = Number().extract(text)
    assert (answer.text is None) != (answer.reason is None)
    assert answer.text is None or written(value_of(answer.text)) == answer.text


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({"take": "first"}, "3, then 4", "3"),
        ({"decimal": ","}, "1.234,5", "1234.5"),
        ({"decimal": ","}, "3,14", "3.14"),
        ({"decimal": ","}, "1.000", "1000"),
        ({"percent": "share"}, "50%", "0.5"),
        ({"percent": "share"}, "12.5 percent", "0.125"),
        ({"after": "</think>"}, "<think>3</think> 4", "4"),
        ({"after": "</think>"}, "<think>3", None),
        ({"after": "</think>"}, "<think>3</think> none", None),
    ],
)
def test_options(options: dict[str, str], text: str, expected: str | None) -> None:
    assert Number(**options).extract(text).text == expected


@pytest.mark.parametrize(
    "text", ["1" * 100_000, "1," * 50_000, "-" * 100_000, "a" * 100_000, "1/" * 50_000, "\\boxed{" * 20_000]
)
def test_long_texts_take_little_time(text: str) -> None:
    begun = time.process_time()
    Number().extract(text)
    assert time.process_time() - begun < 2


def test_a_reference_is_read_as_an_answer_is() -> None:
    assert Number().reference(0.1).text == "0.1"
    assert Number().reference(72).text == "72"
    assert Number().reference("Natalia sold 48/2 = 24 clips.\n#### 72").text == "72"
    assert Number().reference(" ").reason == "is empty"
    assert Number().reference("none").reason == "there is no number in the text"
    assert Number().reference([1]).reason == "is no text and no number, but list"
    assert Number().reference(True).reason == "is no text and no number, but bool"
