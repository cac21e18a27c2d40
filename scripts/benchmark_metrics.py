"""self-BLEU beside NLTK's loop in one run: times, ratio, and whether the values agree.

python scripts/benchmark_metrics.py
python scripts/benchmark_metrics.py --texts 1000 --full

Without --full NLTK scores a sample of the texts (each against all others) and its time is scaled up; the compared values are
those of that sample.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Annotated

import numpy as np
import typer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from temp_processors.metrics import self_bleu


def zipf_texts(count: int, seed: int = 7, vocabulary: int = 5000) -> list[list[str]]:
    """Texts of 20 to 60 words drawn from Zipf's law."""
    rng = random.Random(seed)
    words = [f"w{k}" for k in range(vocabulary)]
    weights = [1 / k for k in range(1, vocabulary + 1)]
    return [rng.choices(words, weights, k=rng.randint(20, 60)) for _ in range(count)]


def main(
    texts: Annotated[int, typer.Option(help="Number of texts.")] = 1000,
    sample: Annotated[int, typer.Option(help="Texts that NLTK scores, spread over the corpus.")] = 20,
    repeats: Annotated[int, typer.Option(help="Timed runs of ours; the median counts.")] = 7,
    full: Annotated[bool, typer.Option("--full", help="Let NLTK score every text.")] = False,
) -> None:
    """Time self-BLEU-4 of both and compare the values text by text."""
    corpus = zipf_texts(texts)
    chosen = range(texts) if full else range(0, texts, max(1, texts // sample))
    smooth = SmoothingFunction().method1
    ours, theirs, values = [], [], []
    score = self_bleu(corpus)
    for position, i in enumerate(chosen):
        start = time.perf_counter()
        values.append(sentence_bleu(corpus[:i] + corpus[i + 1 :], corpus[i], smoothing_function=smooth))
        theirs.append(time.perf_counter() - start)
        if position < repeats:
            start = time.perf_counter()
            score = self_bleu(corpus)
            ours.append(time.perf_counter() - start)
    assert score.per_text is not None
    nltk_seconds = statistics.median(theirs) * texts
    error = float(np.abs(score.per_text[list(chosen)] - values).max())
    print(
        f"self-BLEU-4 of {texts} texts: {score.value:.6f}; largest difference to NLTK {error:.1e} on {len(values)} texts"
    )
    print(
        f"NLTK {nltk_seconds:.1f} s, ours {statistics.median(ours):.4f} s, ratio {nltk_seconds / statistics.median(ours):,.0f}"
    )


if __name__ == "__main__":
    typer.run(main)
