"""The story grammar: exact probabilities, one derivation for each tale, tales that hang together."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from temp_processors.fox import grammar, words
from temp_processors.fox.grammar import NotATaleError, log_probability, sample_story

TABLES = {
    name: table
    for name, table in vars(grammar).items()
    if isinstance(table, dict) and table and all(isinstance(value, float) for value in table.values())
} | {"FOX_ACTS": words.FOX_ACTS}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_probabilities_sum_to_one_and_no_option_begins_another(name: str) -> None:
    table = TABLES[name]
    assert math.fsum(table.values()) == pytest.approx(1, abs=1e-12)
    assert not [(a, b) for a in table for b in table if a != b and b.startswith(a)]


def test_reading_a_tale_gives_the_probability_it_was_written_with() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        story = sample_story(rng)
        assert log_probability(story.text) == pytest.approx(story.log_prob, abs=1e-9)


def test_a_text_that_is_no_tale_is_refused_where_it_departs() -> None:
    story = sample_story(random.Random(0)).text
    with pytest.raises(NotATaleError, match="at character 0 of 'A fox'"):
        log_probability("A fox")
    with pytest.raises(NotATaleError, match="is over at character"):
        log_probability(story + " The end.")


def test_a_seed_fixes_the_tales_and_they_are_many() -> None:
    first = [sample_story(random.Random(5)).text for _ in range(2)]
    assert first[0] == first[1]
    rng = random.Random(1)
    assert len({sample_story(rng).text for _ in range(20_000)}) > 19_900


def test_the_fox_mostly_jumps_over_the_lazy_dog() -> None:
    rng = random.Random(2)
    acts = Counter(
        text.startswith("The quick brown fox jumped over the lazy dog.")
        for text in (sample_story(rng).text for _ in range(5000))
        if text.startswith("The quick brown fox")
    )
    assert acts[True] / acts.total() == pytest.approx(words.FOX_ACTS[" jumped over the lazy dog."], abs=0.02)


def test_who_was_introduced_is_who_acts() -> None:
    rng = random.Random(4)
    names = {*words.GIRLS, *words.BOYS}
    for _ in range(500):
        text = sample_story(rng).text
        present = {word.strip('.,"') for word in text.split()} & names
        assert len(present) == 1
        (friend,) = present
        kind = next(hero for hero in words.HEROES if text.startswith(hero)).rsplit(" ", 1)[1]
        assert f"the {kind} and {friend} " in text
        assert f" {'his' if friend in words.GIRLS else 'her'} " not in text
