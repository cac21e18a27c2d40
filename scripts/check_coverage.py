"""How often the 95 % intervals of `temp_processors.metrics.intervals` hold the truth, and how often verdicts are false.

python scripts/check_coverage.py --design stories --design 'uniform words' --experiments 200
python scripts/check_coverage.py --workers 2 --out temp_processors/metrics/coverage.md

One experiment draws N texts of one process, N of a second one that differs from it in one word of twenty, and N texts of the second one
that share their random numbers with the first (a coupled difference). The true value of a score is its mean over all experiments of a
design and size. `scripts/draw_pools.py` drew the texts of the two models.
"""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from temp_processors.fox.grammar import sample_story
from temp_processors.metrics import CATALOGUE, tokenize
from temp_processors.metrics.intervals import difference_of, holm, measure

METRICS = (
    "distinct_1",
    "distinct_2",
    "distinct_4",
    "distinct_2_per_text",
    "self_bleu_2",
    "self_bleu_4",
    "seq_rep_2",
    "unique_share",
    "mean_length",
    "perplexity",
)
POOLS = Path(__file__).parent / "pools"
SIZES = ((4, 1), (8, 1), (16, 1), (64, 1), (256, 1))
PROMPTS = ((12, 3), (16, 4), (40, 5), (160, 20))
REPLACED = 0.05
LARGE = 200  # texts from which a design gets a third of the experiments
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
    "135 M model, T = 1.5": Design(partial(pooled, name="smollm2-1.5"), SIZES[:4], tuned=False),
    "fox, T = 0.1": Design(partial(pooled, name="fox-0.1")),
    "fox, T = 0.5": Design(partial(pooled, name="fox-0.5"), tuned=False),
    "own words": Design(own_words, PROMPTS),
    "3 modes, 30 % leave": Design(partial(modes, count=3, deviating=0.3)),
    "12 modes, 5 % leave": Design(partial(modes, count=12, deviating=0.05), tuned=False),
    "40 modes": Design(partial(modes, count=40, deviating=0.0), tuned=False),
    "geometric lengths": Design(partial(lengths, kind="geometric")),
    "two lengths": Design(partial(lengths, kind="two"), tuned=False),
}


def log_probs(rng: random.Random, texts: Sequence[Words]) -> list[tuple[float, int]]:
    """Heavy-tailed log-probabilities, correlated within a text: log-normal surprise of a text times an exponential one of a token."""
    return [
        (-sum(rng.lognormvariate(0.5, 0.6) * rng.expovariate(1) for _ in text) * rng.lognormvariate(0, 0.4), len(text))
        for text in texts
    ]


def experiment(name: str, size: int, prompts: int, seed: int) -> list[tuple[float, float, float]]:
    """(value, low, high) of every metric, of every difference, of every coupled difference; NaN bounds where refused."""
    rng = random.Random(f"{name} {size} {prompts} {seed}")
    clusters = [place * prompts // size for place in range(size)]
    first, second = (DESIGNS[name].draw(rng, clusters) for _ in range(2))
    sides = [first.texts, second.replaced, first.replaced]
    tokens = [tokenize(side) for side in sides]
    chances = [log_probs(rng, side) for side in sides[:2]]
    chances.append([(value * rng.lognormvariate(0, 0.1), count) for value, count in chances[0]])
    rows: list[list[tuple[float, float, float]]] = [[], [], []]
    for metric in map(CATALOGUE.__getitem__, METRICS):
        items: list[Any] = chances if metric.takes == "log_probs" else tokens
        own, other, coupled = (_measured(metric, held, clusters) for held in items)
        found = own.interval()
        rows[0].append((own.score.value, found.low, found.high))
        for place, side in enumerate((other, coupled), start=1):
            change = difference_of(side, own)
            rows[place].append((change.value, change.interval.low, change.interval.high))
    return [row for part in rows for row in part]


def _measured(metric: Any, items: Any, clusters: Sequence[int]) -> Any:
    if metric.takes == "log_probs":
        score = metric.function([pair[0] for pair in items], [pair[1] for pair in items])
        return measure(metric, items, clusters, score=score)
    return measure(metric, items, clusters)


def cells(results: np.ndarray) -> list[str]:
    """One cell for each score: how often the interval held the truth, and in how many experiments there was one."""
    truth = np.nanmean(results[:, :, 0], axis=0)
    given = np.isfinite(results[:, :, 1]) | np.isfinite(results[:, :, 2])
    held = (results[:, :, 1] <= truth) & (truth <= results[:, :, 2])
    found = []
    for place in range(results.shape[1]):
        share = given[:, place].mean()
        if share < 0.05:
            found.append("refused")
            continue
        right = 100 * held[given[:, place], place].mean()
        found.append(f"{right:.1f}" if share > 0.995 else f"{right:.1f} ({100 * share:.0f})")
    return found


def false_verdicts(seed: int, policies: int = 6, size: int = 32) -> bool:
    """Whether a table of equal policies has a verdict: Holm over all metrics and policies."""
    rng = random.Random(f"equal {seed}")
    names = ("distinct_1", "distinct_2", "distinct_4", "self_bleu_4", "mean_length", "unique_share")
    groups = [tokenize([sample_story(rng).text.split()[:40] for _ in range(size)]) for _ in range(policies)]
    values = []
    for name in names:
        base, *others = (measure(CATALOGUE[name], group) for group in groups)
        values += [difference_of(other, base).p_value for other in others]
    return any(value < 0.05 for value in holm(values))


def power(size: int, seed: int) -> list[bool]:
    """Whether fox at T = 0.9 and at 1.0 are told apart, for distinct-2, self-BLEU-4 and perplexity's texts' length."""
    rng = random.Random(f"power {size} {seed}")
    warm, hot = (tokenize(rng.sample(pool(f"fox-{t}"), size)) for t in ("0.9", "1.0"))
    metrics = [CATALOGUE[name] for name in ("distinct_2", "self_bleu_4")]
    return [difference_of(measure(metric, hot), measure(metric, warm)).p_value < 0.05 for metric in metrics]


def tables(names: Sequence[str], experiments: int, largest: int, run: Callable[..., Any]) -> Iterator[str]:
    """Lines of the tables, design by design."""
    heads = ["value", "difference", "coupled difference"]
    parts: list[list[str]] = [[], [], []]
    for name in names:
        for size, prompts in DESIGNS[name].sizes:
            if size > largest:
                continue
            count = experiments // 3 if size >= LARGE else experiments
            found = np.array(list(run(partial(experiment, name, size, prompts), range(count), chunksize=4)))
            mark = "" if DESIGNS[name].tuned else " *"
            row = cells(found)
            for place in range(3):
                shown = row[place * len(METRICS) : (place + 1) * len(METRICS)]
                parts[place].append(f"| {name}{mark} | {size} | {prompts} | {' | '.join(shown)} |")
            print(parts[0][-1], flush=True)
    for head, lines in zip(heads, parts, strict=True):
        yield f"\n## Intervals of a {head}\n"
        yield f"| texts | N | prompts | {' | '.join(METRICS)} |"
        yield "|---|--:|--:|" + "--:|" * len(METRICS)
        yield from lines


def verdicts(experiments: int, run: Callable[..., Any]) -> list[str]:
    """Lines on false verdicts, and on true differences that are found."""
    wrong = np.mean(list(run(false_verdicts, range(experiments), chunksize=4)))
    lines = [
        "\n## False verdicts and power\n",
        f"Tables of 6 equal policies x 6 metrics, 32 texts each, with at least one verdict: {100 * wrong:.1f} %.\n",
        "fox at T = 0.9 and at T = 1.0 are told apart (without correction) in this share of experiments:\n",
        "| N | distinct_2 | self_bleu_4 |",
        "|--:|--:|--:|",
    ]
    for size in (16, 32, 64, 256):
        told = np.mean(list(run(partial(power, size), range(experiments // 3), chunksize=4)), axis=0)
        lines.append(f"| {size} | " + " | ".join(f"{100 * share:.0f} %" for share in told) + " |")
    return lines


INTRO = """# Coverage of the 95 % intervals

How often the interval held the truth, in per cent, by `scripts/check_coverage.py`; {experiments} experiments a row, a third of it at 256
texts. In brackets the per cent of experiments that gave an interval, where not all did; `refused` where fewer than 5 % did: there `score`,
`run` and `compare` print a reason in its place. With one prompt the unit is the text, with several the prompt. Texts marked * were not
looked at while the method was chosen. Perplexities are made up, with heavy tails. Metrics that are not here have no interval and no
verdict.
"""


def main(
    experiments: Annotated[int, typer.Option(help="Experiments for each design and size.")] = 600,
    design: Annotated[list[str] | None, typer.Option(help="Name of a design; repeatable, all by default.")] = None,
    largest: Annotated[int, typer.Option(help="Leave out designs of more texts.")] = 256,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Markdown file for the tables.")] = None,
) -> None:
    """Simulate, count, print the tables."""
    names = design or list(DESIGNS)
    with ProcessPoolExecutor(workers) as processes:
        lines = list(tables(names, experiments, largest, processes.map))
        lines += [] if design else verdicts(experiments, processes.map)
    text = INTRO.format(experiments=experiments) + "\n".join(lines) + "\n"
    print(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
