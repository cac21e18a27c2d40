"""Our metrics beside those of others in one run: times, ratios, growth with the number of texts, peak memory.

python scripts/benchmark_metrics.py
python scripts/benchmark_metrics.py --largest 10000 --repeats 3

Sides take turns on texts that are already split, and medians count. NLTK and sacrebleu score a few texts against all others, which is
scaled up to all. fast-bleu, sacrebleu and diversity (cshaib) are compared where they are installed; `-` stands for the others.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.util import ngrams

from temp_processors.metrics import cross_repetition, distinct_n, self_bleu, tokenize

Texts = list[list[str]]
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)


def zipf_texts(count: int, seed: int = 7, vocabulary: int = 5000) -> Texts:
    """Texts of 40 words drawn from Zipf's law."""
    rng = random.Random(seed)
    words = [f"w{k}" for k in range(vocabulary)]
    weights = [1 / k for k in range(1, vocabulary + 1)]
    return [rng.choices(words, weights, k=40) for _ in range(count)]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternated(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median times of both, taking turns."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def installed(name: str) -> bool:
    """Whether a peer can be imported."""
    return importlib.util.find_spec(name) is not None


def row(what: str, peer: str, ours: float, theirs: float | None, note: str = "") -> str:
    """One line of the table."""
    if theirs is None:
        return f"| {what} | {peer} | {ours:.4f} | - | - | not installed |"
    return f"| {what} | {peer} | {ours:.4f} | {theirs:.4g} | {theirs / ours:,.0f} | {note} |"


def nltk_of(texts: Texts, i: int) -> float:
    """self-BLEU-4 of one text as NLTK computes it."""
    smooth = SmoothingFunction().method1
    return float(sentence_bleu(texts[:i] + texts[i + 1 :], texts[i], smoothing_function=smooth))


def sacrebleu_of(texts: Texts, i: int) -> float:
    """The same by sacrebleu, on the same tokens; its `floor` differs from method1 for texts shorter than 4 tokens only."""
    from sacrebleu.metrics import BLEU

    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it recommends another order, which would be another score
    metric = BLEU(tokenize="none", smooth_method="floor", effective_order=False)
    return float(metric.sentence_score(" ".join(texts[i]), [" ".join(t) for k, t in enumerate(texts) if k != i]).score)


def sampled(of_one: Callable[[Texts, int], float], texts: Texts, repeats: int, sample: int) -> tuple[float, float, str]:
    """Time of ours, time of the peer scaled up from a sample of texts, and how far the values differ."""
    chosen = range(0, len(texts), max(1, len(texts) // sample))
    values = self_bleu(texts).per_text
    assert values is not None
    ours, theirs, apart = [], [], 0.0
    for position, i in enumerate(chosen):
        start = time.perf_counter()
        apart = max(apart, abs(of_one(texts, i) / (100 if of_one is sacrebleu_of else 1) - values[i]))
        theirs.append(time.perf_counter() - start)
        if position < repeats:
            ours.append(seconds(lambda: self_bleu(texts)))
    return statistics.median(ours), statistics.median(theirs) * len(texts), f"{len(chosen)} texts; apart {apart:.0e}"


def self_bleu_rows(repeats: int, sizes: Iterable[int], sample: int = 20) -> Iterable[str]:
    """self-BLEU-4 beside NLTK, sacrebleu and fast-bleu."""
    for size in sizes:
        texts, what = zipf_texts(size), f"self-BLEU-4, {size:,} texts"
        if size <= 1_000:
            ours, theirs, note = sampled(nltk_of, texts, repeats, sample)
            yield row(what, "NLTK", ours, theirs, note)
            known = installed("sacrebleu")
            ours, theirs, note = sampled(sacrebleu_of, texts, repeats, sample) if known else (ours, None, "")
            yield row(what, "sacrebleu", ours, theirs, note)
        if installed("fast_bleu"):
            from fast_bleu import SelfBLEU

            held: list[Any] = []

            def peer(texts: Texts = texts, held: list[Any] = held) -> None:
                held[:] = [SelfBLEU(texts, {4: (0.25,) * 4}).get_score()[4]]

            ours, theirs = alternated(lambda texts=texts: self_bleu(texts), peer, repeats if size <= 1_000 else 3)
            apart = float(np.abs(np.array(held[0]) - self_bleu(texts).per_text).max())
            yield row(what, "fast-bleu", ours, theirs, f"apart {apart:.0e}")
        else:
            yield row(what, "fast-bleu", seconds(lambda texts=texts: self_bleu(texts)), None)


def with_sets(texts: Texts) -> list[float]:
    """distinct-1..4 with Python sets of tuples."""
    values = []
    for n in (1, 2, 3, 4):
        different: set[tuple[str, ...]] = set()
        for text in texts:
            different.update(zip(*(text[k:] for k in range(n)), strict=False))
        values.append(len(different) / sum(max(0, len(text) - n + 1) for text in texts))
    return values


def with_nltk(texts: Texts) -> list[float]:
    """distinct-1..4 with NLTK's n-grams."""
    found = [list(chain.from_iterable(ngrams(text, n) for text in texts)) for n in (1, 2, 3, 4)]
    return [len(set(grams)) / len(grams) for grams in found]


def with_us(texts: Texts) -> list[float]:
    """distinct-1..4, numbering of the tokens included."""
    tokenized = tokenize(texts)
    return [distinct_n(tokenized, n).value for n in (1, 2, 3, 4)]


def distinct_rows(repeats: int, tokens: int) -> Iterable[str]:
    """distinct-1..4 beside sets, NLTK and diversity, which takes joined texts and counts across them."""
    texts, what = zipf_texts(tokens // 40), f"distinct-1..4, {tokens:,} tokens"
    for name, peer in (("Python sets", with_sets), ("NLTK", with_nltk)):
        assert peer(texts) == with_us(texts)
        yield row(what, name, *alternated(lambda: with_us(texts), lambda peer=peer: peer(texts), repeats), "equal")
    some, about = texts[:1_000], "cross-repetition-4, 1,000 texts"
    if not installed("diversity"):
        yield from (row(task, "diversity", seconds(lambda: with_us(texts)), None) for task in (what, about))
        return
    from diversity import ngram_diversity_score, self_repetition_score

    joined = [" ".join(text) for text in texts]
    pair = alternated(lambda: with_us(texts), lambda: ngram_diversity_score(joined, 4), repeats)
    yield row(what, "diversity", *pair, "its n-grams cross texts")
    pair = alternated(lambda: cross_repetition(some), lambda: self_repetition_score(joined[:1_000], 4, False), repeats)
    yield row(about, "diversity", *pair, "it rounds")


def growth(largest: int, repeats: int = 3) -> str:
    """Least-squares slope of log time over log number of texts."""
    sizes = [size for size in SIZES if size <= largest]
    corpora = [zipf_texts(size) for size in sizes]
    times = np.array([[seconds(lambda texts=texts: self_bleu(texts)) for texts in corpora] for _ in range(repeats)])
    medians = np.median(times, axis=0)
    slope = np.polyfit(np.log(sizes), np.log(medians), 1)[0]
    listed = ", ".join(f"{size:,}: {value:.3f} s" for size, value in zip(sizes, medians, strict=True))
    return f"Growth of self-BLEU-4 in the number of texts of 40 tokens: exponent {slope:.2f} ({listed})."


def peak(size: int) -> dict[str, float]:
    """Peak memory of this process in MB before and after self-BLEU-4 of so many texts."""
    texts = zipf_texts(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    value = self_bleu(texts).value
    return {"before": before, "after": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "value": value}


def peak_elsewhere(size: int) -> dict[str, float]:
    """`peak` in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--memory-of", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(
    largest: Annotated[int, typer.Option(help="Most texts for growth and memory.")] = 100_000,
    repeats: Annotated[int, typer.Option(help="Turns of each side.")] = 7,
    tokens: Annotated[int, typer.Option(help="Tokens for distinct-n.")] = 1_000_000,
    memory_of: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Print the table as Markdown."""
    if memory_of:
        print(json.dumps(peak(memory_of)))
        return
    found = peak_elsewhere(largest)  # first: a process begins with the peak of the one that started it
    print("| task | beside | ours, s | theirs, s | ratio | |\n|---|---|--:|--:|--:|---|")
    for line in chain(self_bleu_rows(repeats, (1_000, min(largest, 10_000))), distinct_rows(repeats, tokens)):
        print(line, flush=True)
    print(f"\n{growth(largest)}")
    print(f"Peak memory at {largest:,} texts: {found['after']:,.0f} MB, {found['before']:,.0f} MB before the score.")


if __name__ == "__main__":
    typer.run(main)
