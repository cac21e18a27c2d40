"""The processes that write texts for `scripts/check_coverage.py`: hot and cold, alike and apart, of equal and of unequal lengths."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from temp_processors.fox.grammar import sample_story

POOLS = Path(__file__).parent / "pools"
SIZES = ((4, 1), (8, 1), (16, 1), (64, 1), (256, 1))
PROMPTS = ((12, 3), (16, 4), (40, 5), (160, 20))
REPLACED = 0.05
Words = list[str]


class Draw(NamedTuple):
    """Texts of one experiment: those of the process, and the same with some words replaced."""

    texts: list[Words]
    replaced: list[Words]


@dataclass(frozen=True)
class Design:
    """A process that writes texts.

    Args:
        draw: From random numbers, number of texts and prompt of every text to a `Draw`.
        sizes: (texts, prompts) of its experiments.
        tuned: Whether the method was chosen looking at it.
    """

    draw: Callable[[random.Random, Sequence[int]], Draw]
    sizes: tuple[tuple[int, int], ...] = SIZES
    tuned: bool = True


def zipf_word(rng: random.Random, name: str = "z") -> str:
    """A word of a heavy-tailed vocabulary, Zipf's law with exponent 2."""
    return f"{name}{int(1 / (1 - rng.random()))}"


def with_replaced(rng: random.Random, texts: list[Words]) -> Draw:
    """The texts, and the same with one word of twenty replaced."""
    other = [[zipf_word(rng, "r") if rng.random() < REPLACED else word for word in text] for text in texts]
    return Draw(texts, other)


def stories(rng: random.Random, prompts: Sequence[int], words: int = 40, opening: int = 12) -> Draw:
    """Stories of the grammar of `fox`; with several prompts, stories of one prompt begin alike."""
    several = len(set(prompts)) > 1
    openings = {
        prompt: sample_story(rng).text.split()[:opening] if several else [] for prompt in dict.fromkeys(prompts)
    }
    texts = [[*openings[p], *sample_story(rng).text.split()[len(openings[p]) :]][:words] for p in prompts]
    return with_replaced(rng, texts)


def uniform(rng: random.Random, prompts: Sequence[int], words: int = 40, vocabulary: int = 800) -> Draw:
    """Words drawn evenly from 800: as hot as it gets."""
    return with_replaced(rng, [[f"w{rng.randrange(vocabulary)}" for _ in range(words)] for _ in prompts])


def own_words(rng: random.Random, prompts: Sequence[int], words: int = 30) -> Draw:
    """Half of the words from 300 that all prompts share, half from a vocabulary of the prompt's own, of its own size."""
    sizes = {prompt: 20 + int(80 * rng.gammavariate(4, 0.25)) for prompt in dict.fromkeys(prompts)}

    def word(prompt: int) -> str:
        return f"p{prompt}.{rng.randrange(sizes[prompt])}" if rng.random() < 0.5 else f"w{rng.randrange(300)}"

    return with_replaced(rng, [[word(prompt) for _ in range(words)] for prompt in prompts])


def modes(rng: random.Random, prompts: Sequence[int], count: int, deviating: float, words: int = 30) -> Draw:
    """A few fixed texts, the k-th with weight 1 / k; a share of them leaves its mode for words of its own."""
    fixed = [[f"m{mode}.{place}" for place in range(words)] for mode in range(count)]
    texts = []
    for _ in prompts:
        text = list(rng.choices(fixed, [1 / (k + 1) for k in range(count)])[0])
        if rng.random() < deviating:
            begin = rng.randrange(words - 5)
            text[begin:] = [f"w{rng.randrange(3000)}" for _ in range(words - begin)]
        texts.append(text)
    return with_replaced(rng, texts)


def lengths(rng: random.Random, prompts: Sequence[int], kind: str) -> Draw:
    """Words of Zipf's law in texts of geometric or of two very different lengths."""

    def length() -> int:
        if kind == "geometric":
            return 2 + int(math.log(1 - rng.random()) / math.log(1 - 1 / 25))
        return 4 if rng.random() < 0.5 else 60

    def word() -> str:
        return f"w{int(math.exp(rng.random() * math.log(2000)))}"

    return with_replaced(rng, [[word() for _ in range(length())] for _ in prompts])


def phrases(rng: random.Random, prompts: Sequence[int], count: int = 8) -> Draw:
    """Ready-made phrases of 2 to 6 words, the k-th of 300 with weight 1 / k."""
    ready = [[f"p{k}.{place}" for place in range(2 + k % 5)] for k in range(300)]
    weights = [1 / (k + 1) for k in range(300)]
    return with_replaced(
        rng, [[word for part in rng.choices(ready, weights, k=count) for word in part] for _ in prompts]
    )


def answers(rng: random.Random, prompts: Sequence[int]) -> Draw:
    """Answers of 3 to 6 words, two thirds of them one of 20 that come again and again."""
    known = [[f"a{k}.{place}" for place in range(3 + k % 4)] for k in range(20)]

    def answer() -> Words:
        if rng.random() < 2 / 3:
            return list(rng.choice(known))
        return [f"w{rng.randrange(60)}" for _ in range(rng.randrange(3, 7))]

    return with_replaced(rng, [answer() for _ in prompts])


@cache
def pool(name: str) -> list[Words]:
    """Texts of a model, drawn once."""
    with gzip.open(POOLS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"].split() for row in rows for _ in range(row["count"])]


def pooled(rng: random.Random, prompts: Sequence[int], name: str) -> Draw:
    """Texts of a model, without putting any back."""
    return with_replaced(rng, rng.sample(pool(name), len(prompts)))


DESIGNS = {
    "stories": Design(stories, (*SIZES, *PROMPTS)),
    "uniform words": Design(uniform),
    "135 M model, T = 1.5": Design(partial(pooled, name="smollm2-1.5"), SIZES[:4]),
    "fox, T = 0.1": Design(partial(pooled, name="fox-0.1")),
    "fox, T = 0.5": Design(partial(pooled, name="fox-0.5")),
    "own words": Design(own_words, PROMPTS),
    "3 modes, 30 % leave": Design(partial(modes, count=3, deviating=0.3)),
    "12 modes, 5 % leave": Design(partial(modes, count=12, deviating=0.05)),
    "40 modes": Design(partial(modes, count=40, deviating=0.0)),
    "geometric lengths": Design(partial(lengths, kind="geometric")),
    "two lengths": Design(partial(lengths, kind="two")),
    "fox, T = 1.0": Design(partial(pooled, name="fox-1.0"), tuned=False),
    "phrases": Design(phrases, (*SIZES, (40, 5))),
    "short answers": Design(answers, tuned=False),
}


def log_probs(rng: random.Random, texts: Sequence[Words]) -> list[tuple[float, int]]:
    """Heavy-tailed log-probabilities, correlated within a text: log-normal surprise of a text times an exponential one of a token."""
    return [
        (-sum(rng.lognormvariate(0.5, 0.6) * rng.expovariate(1) for _ in text) * rng.lognormvariate(0, 0.4), len(text))
        for text in texts
    ]
