"""A model small enough that every text can be counted: vocabulary 4 with an end token, texts of at most 5 tokens, 364 in all."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable

import torch
from scipy.stats import chi2

from temp_processors.engines.engine import Decoded
from tests.models import tiny_llama

END, LONGEST, PROMPT = 3, 5, (0, 1)
Text = tuple[int, ...]


def model_of_four() -> torch.nn.Module:
    return tiny_llama(
        vocab_size=4,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        initializer_range=0.5,
        max_position_embeddings=32,
    )


def log_probs() -> dict[Text, float]:
    """ln p of every text, its end token included."""
    model, found = model_of_four(), {}
    for length in range(1, LONGEST + 1):
        words = itertools.product(range(4), repeat=length)
        texts = [text for text in words if END not in text[:-1] and (length == LONGEST or text[-1] == END)]
        ids = torch.tensor([[*PROMPT, *text] for text in texts])
        with torch.inference_mode():
            chances = model(ids).logits[:, len(PROMPT) - 1 : -1].double().log_softmax(dim=-1)
        sums = chances.gather(2, ids[:, len(PROMPT) :, None]).sum(dim=(1, 2)).tolist()
        found.update(zip(texts, sums, strict=True))
    assert math.isclose(sum(map(math.exp, found.values())), 1.0, rel_tol=1e-6)
    return found


def power_law(alpha: float) -> dict[Text, float]:
    """p^alpha / Z of every text."""
    weights = {text: math.exp(alpha * value) for text, value in log_probs().items()}
    return {text: weight / sum(weights.values()) for text, weight in weights.items()}


def counted(drawn: Iterable[Decoded]) -> Counter[Text]:
    return Counter((*done.token_ids, *((END,) if done.finish_reason == "stop" else ())) for done in drawn)


def variation(counts: Counter[Text], law: dict[Text, float]) -> float:
    """Half the sum of |share - probability|: the distance in total variation."""
    total = counts.total()
    return sum(abs(counts[text] / total - chance) for text, chance in law.items()) / 2


def chance_of(counts: Counter[Text], law: dict[Text, float]) -> float:
    """The p-value of Pearson's chi-square; texts that are expected fewer than 5 times are one class."""
    total, rare, statistic, classes = counts.total(), [0.0, 0.0], 0.0, 0
    for text, chance in law.items():
        if total * chance < 5:
            rare = [rare[0] + counts[text], rare[1] + total * chance]
        else:
            statistic, classes = statistic + (counts[text] - total * chance) ** 2 / (total * chance), classes + 1
    statistic += (rare[0] - rare[1]) ** 2 / rare[1]
    return float(chi2.sf(statistic, classes))
