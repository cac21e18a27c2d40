"""A probabilistic grammar of short animal tales that knows the exact probability of each.

Every choice puts its own text on the page, and within one choice no option begins another, so a text has one derivation: the same
function that writes a story reads it back. Mean `-log_prob / tokens` over stories is the entropy per token of the source, the limit that
no language model can beat on it.

    >>> import random
    >>> story = sample_story(random.Random(0))
    >>> abs(log_probability(story.text) - story.log_prob) < 1e-9
    True
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from temp_processors.fox import words


class Story(NamedTuple):
    """A tale and its natural-log probability under the grammar."""

    text: str
    log_prob: float


class Teller(Protocol):
    """What the grammar needs: a place to put text, and somebody who chooses."""

    def say(self, text: str) -> None:
        """Put fixed text on the page."""

    def pick(self, options: Mapping[str, float]) -> str:
        """Choose one option by its probability, put it on the page, return it."""
        ...


def weighted(options: Iterable[str]) -> dict[str, float]:
    """Zipf-like probabilities: option number k (from 1) has weight k ** -0.75."""
    names = tuple(options)
    weights = [k**-0.75 for k in range(1, len(names) + 1)]
    return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}


HEROES = {name: probability for name, (_, probability) in words.HEROES.items()}
ACTS = weighted(words.ACTS)
WEATHER, TIMES = weighted(words.WEATHER), weighted(words.TIMES)
PLACES, PLACE_STATES = weighted(words.PLACES), weighted(words.PLACE_STATES)
KINDS, LOOKS = weighted(words.KINDS), weighted(words.LOOKS)
NAMES = {name: 0.6 * p for name, p in weighted(words.GIRLS).items()} | {
    name: 0.4 * p for name, p in weighted(words.BOYS).items()
}
THINGS, COLORS, SPOTS = weighted(words.THINGS), weighted(words.COLORS), weighted(words.SPOTS)
FOODS, FEARS, JOYS = weighted(words.FOODS), weighted(words.FEARS), weighted(words.JOYS)
MANNERS, ENDINGS = weighted(words.MANNERS), weighted(words.ENDINGS)
OPENINGS, MEETINGS = weighted(words.OPENINGS), weighted(words.MEETINGS)
SEARCHES, FAREWELLS = weighted(words.SEARCHES), weighted(words.FAREWELLS)
INTRODUCTIONS = {" named ": 0.7, " called ": 0.3}
TROUBLES = {
    " had lost": 0.34,
    " could not find": 0.2,
    " wanted some": 0.18,
    " dreamed of": 0.1,
    " was afraid of the": 0.11,
    " ran from the": 0.07,
}


def tell(teller: Teller) -> None:
    """Tell one tale. Whoever is introduced is who acts: hero and friend keep name, kind and pronoun to the end."""
    hero = teller.pick(HEROES)
    teller.pick(words.FOX_ACTS if hero.endswith(" fox") else ACTS)
    kind, pronoun = hero.rsplit(" ", 1)[1], words.HEROES[hero][0]
    teller.pick(OPENINGS)
    teller.pick(WEATHER)
    teller.say(" ")
    teller.pick(TIMES)
    teller.say(", and the ")
    teller.pick(PLACES)
    teller.say(" was ")
    teller.pick(PLACE_STATES)
    teller.say(".")
    teller.pick({meeting.format(pronoun): p for meeting, p in MEETINGS.items()})
    teller.pick(LOOKS)
    teller.say(" ")
    friend_kind = teller.pick(KINDS)
    teller.pick(INTRODUCTIONS)
    friend = teller.pick(NAMES)
    teller.say(f". {friend}")
    trouble = teller.pick(TROUBLES)
    their = "her" if friend in words.GIRLS else "his"
    TROUBLE_TALES[trouble](teller, f"The {kind}", friend, their)
    teller.say(f" {friend} the {friend_kind} ")
    teller.pick(JOYS)
    teller.say(".")
    teller.pick(FAREWELLS)
    teller.say(f" the {kind} and {friend} ")
    teller.pick(ENDINGS)
    teller.say(".")


def _lost(teller: Teller, hero: str, friend: str, their: str) -> None:
    teller.say(f" {their} ")
    teller.pick(COLORS)
    teller.say(" ")
    thing = teller.pick(THINGS)
    teller.say(f". {hero} ")
    teller.pick(SEARCHES)
    teller.say(" ")
    first = teller.pick(SPOTS)
    teller.say(", but found it ")
    rest = {spot: p for spot, p in SPOTS.items() if spot != first}
    teller.pick({spot: p / sum(rest.values()) for spot, p in rest.items()})
    teller.say(f". {hero} gave the {thing} back ")
    teller.pick(MANNERS)
    teller.say(".")


def _hungry(teller: Teller, hero: str, friend: str, their: str) -> None:
    teller.say(" ")
    food = teller.pick(FOODS)
    teller.say(f" for {their} supper. {hero} had ")
    rest = {other: p for other, p in FOODS.items() if other != food}
    teller.pick({other: p / sum(rest.values()) for other, p in rest.items()})
    teller.say(f" and {food}, and shared both ")
    teller.pick(MANNERS)
    teller.say(".")


def _afraid(teller: Teller, hero: str, friend: str, their: str) -> None:
    teller.say(" ")
    fear = teller.pick(FEARS)
    teller.say(" and hid ")
    teller.pick(SPOTS)
    teller.say(f'. "The {fear} will not hurt you," said the {hero.rsplit(" ", 1)[1]} ')
    teller.pick(MANNERS)
    teller.say(".")


TROUBLE_TALES = {
    " had lost": _lost,
    " could not find": _lost,
    " wanted some": _hungry,
    " dreamed of": _hungry,
    " was afraid of the": _afraid,
    " ran from the": _afraid,
}


class _Writer:
    """A teller that chooses at random and adds up the probability."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.parts, self.log_prob = rng, list[str](), 0.0

    def say(self, text: str) -> None:
        self.parts.append(text)

    def pick(self, options: Mapping[str, float]) -> str:
        choice = self.rng.choices(list(options), list(options.values()))[0]
        self.parts.append(choice)
        self.log_prob += math.log(options[choice])
        return choice


class _Reader:
    """A teller that follows a finished text; it has no choice, because no option begins another."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.log_prob = text, 0, 0.0

    def say(self, text: str) -> None:
        if not self.text.startswith(text, self.at):
            raise NotATaleError(f"expected {text!r} at character {self.at} of {self.text!r}")
        self.at += len(text)

    def pick(self, options: Mapping[str, float]) -> str:
        for choice, probability in options.items():
            if self.text.startswith(choice, self.at):
                self.at += len(choice)
                self.log_prob += math.log(probability)
                return choice
        raise NotATaleError(f"none of {list(options)[:4]}... at character {self.at} of {self.text!r}")


class _Follower(_Reader):
    """A reader of a text that may end before its tale does."""

    def say(self, text: str) -> None:
        rest = self.text[self.at : self.at + len(text)]
        if len(rest) < len(text) and text.startswith(rest):
            raise _TextOverError
        super().say(text)

    def pick(self, options: Mapping[str, float]) -> str:
        rest = self.text[self.at :]
        if any(len(rest) < len(choice) and choice.startswith(rest) for choice in options):
            raise _TextOverError
        return super().pick(options)


class _TextOverError(Exception):
    """The text is over, and the tale goes on."""


class NotATaleError(ValueError):
    """The grammar cannot produce this text; the message says where it departs."""


def sample_story(rng: random.Random) -> Story:
    """Draw one tale with its exact natural-log probability."""
    writer = _Writer(rng)
    tell(writer)
    return Story("".join(writer.parts), writer.log_prob)


def log_probability(text: str) -> float:
    """Natural-log probability of a whole tale, from its text alone.

    Raises:
        NotATaleError: The grammar gives this text probability 0.
    """
    reader = _Reader(text)
    tell(reader)
    if reader.at != len(text):
        raise NotATaleError(f"the tale is over at character {reader.at} of {text!r}")
    return reader.log_prob


def departure(text: str) -> int | None:
    """Where a text leaves the grammar: the character from which no tale goes on as it does; None where it is the beginning of a tale.

    Exact, because no option begins another: a text is followed along one way only. The place is that of the piece of the tale that does not
    fit, so it may lie a few characters before the letter that is wrong.

    Example:
        >>> departure("The quick brown fox jumped over the la"), departure("The quick brown dog")
        (None, 0)
    """
    follower = _Follower(text)
    try:
        tell(follower)
    except _TextOverError:
        return None
    except NotATaleError:
        return follower.at
    return None if follower.at == len(text) else follower.at


def begins_a_tale(answer: str, row: Mapping[str, str]) -> bool:
    """Whether prompt and text together are the beginning of a tale that the grammar can tell: a scorer for a `task`.

    Args:
        answer: The text as it was drawn, the space at its beginning included.
        row: With the `prompt` that it continues.
    """
    return departure(row["prompt"] + answer) is None
