"""How metrics are called for people, and which direction of them is which."""

from __future__ import annotations

from typing import Literal

# What a larger value means. Neither end of a diversity scale is better by itself, so nothing here says "better".
LARGER: dict[str, Literal["more diverse", "less diverse", "less likely text", "longer"]] = {
    "distinct": "more diverse",
    "expectation_adjusted_distinct": "more diverse",
    "unique_share": "more diverse",
    "mtld": "more diverse",
    "hdd": "more diverse",
    "self_bleu": "less diverse",
    "pairwise_bleu": "less diverse",
    "seq_rep": "less diverse",
    "cross_repetition": "less diverse",
    "compression_ratio": "less diverse",
    "perplexity": "less likely text",
    "mean_length": "longer",
}


def metric_name(metric: str) -> str:
    """`distinct_2` -> `distinct-2`, `self_bleu_4` -> `self-BLEU-4`, `mean_length` -> `mean length`."""
    stem, _, order = metric.rpartition("_")
    if not order.isdigit():
        return metric.replace("_", " ")
    return stem.replace("_", "-").replace("bleu", "BLEU") + "-" + order


def larger_means(metric: str) -> str:
    """What a larger value of `metric` means, in two or three words; "" when nothing is known."""
    return next((meaning for start, meaning in LARGER.items() if metric.startswith(start)), "")
