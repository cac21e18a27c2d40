"""What other samplers do, step by step, on one row in float64: formulas written out from their documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Row = np.ndarray[Any, np.dtype[np.float64]]


def softmax(row: Row) -> Row:
    weight = np.exp(row - row.max())
    return weight / weight.sum()


def keep(row: Row, kept: Any) -> Row:
    return np.where(kept, row, -np.inf)


def head(row: Row, gain: Row, share: float) -> Row:
    """The fewest entries, by falling gain, whose probabilities reach `share`."""
    order = np.argsort(-gain, kind="stable")
    count = int((softmax(row)[order].cumsum() < share).sum()) + 1
    return keep(row, np.isin(np.arange(len(row)), order[:count]))


def temperature(row: Row, value: float) -> Row:
    return keep(row, np.arange(len(row)) == row.argmax()) if value <= 0 else row / value


def dynamic(row: Row, value: float, half: float, exponent: float) -> Row:
    p = softmax(row)[np.isfinite(row)]
    if len(p) < 2:
        return row
    low, high = max(0.0, value - half), value + half
    evenness = -(p[p > 0] * np.log(p[p > 0])).sum() / np.log(len(p))
    return temperature(row, low + (high - low) * evenness**exponent)


def top_k(row: Row, k: int) -> Row:
    return row if k <= 0 or k >= len(row) else keep(row, row >= np.sort(row)[-k])


def top_p(row: Row, share: float) -> Row:
    return row if share >= 1 else head(row, row, share)


def min_p(row: Row, share: float) -> Row:
    return keep(row, softmax(row) >= share * softmax(row).max())


def typical_p(row: Row, share: float) -> Row:
    p = softmax(row)
    surprise = -np.log(np.where(p > 0, p, 1.0))
    distance = np.where(p > 0, np.abs(surprise - (p * surprise).sum()), np.inf)
    return row if share >= 1 else head(row, -distance, share)


def top_n_sigma(row: Row, n: float) -> Row:
    return row if n <= 0 else keep(row, row >= row.max() - n * row[np.isfinite(row)].std())


def without_top(row: Row, threshold: float) -> Row:
    """The row after XTC's cut."""
    top = [place for place in np.argsort(-row) if softmax(row)[place] >= threshold]
    return keep(row, ~np.isin(np.arange(len(row)), top[:-1]))


def penalised(row: Row, penalty: float, ids: list[int]) -> Row:
    seen = np.isin(np.arange(len(row)), ids)
    return np.where(seen, np.where(row > 0, row / penalty, row * penalty), row)


def llama_cpp(fields: Mapping[str, Any], row: Row, ids: list[int]) -> Row:
    """The distribution of a token at llama.cpp's server."""
    for token, _ in fields.get("logit_bias", []):
        row = keep(row, np.arange(len(row)) != token)
    return _chain(list(fields["samplers"]), fields, row, ids)


def _chain(samplers: list[str], fields: Mapping[str, Any], row: Row, ids: list[int]) -> Row:
    for place, name in enumerate(samplers):
        if name == "xtc":
            chance, rest = fields["xtc_probability"], samplers[place + 1 :]
            cut = without_top(row, fields["xtc_threshold"])
            return (1 - chance) * _chain(rest, fields, row, ids) + chance * _chain(rest, fields, cut, ids)
        if name == "penalties":
            assert fields["repeat_last_n"] == -1
            row = penalised(row, fields["repeat_penalty"], ids)
        elif name == "temperature" and fields["dynatemp_range"] > 0:
            row = dynamic(row, fields["temperature"], fields["dynatemp_range"], fields["dynatemp_exponent"])
        else:
            name = {"typ_p": "typical_p"}.get(name, name)
            row = globals()[name](row, fields[name])
    return softmax(row)


def vllm(fields: Mapping[str, Any], row: Row, ids: list[int]) -> Row:
    """The distribution of a token in vLLM, without our processor."""
    row = penalised(row, fields["repetition_penalty"], ids)
    row = min_p(temperature(row, fields["temperature"]), fields["min_p"])
    return softmax(top_p(top_k(row, fields["top_k"]), fields["top_p"]))


def ollama(fields: Mapping[str, Any], row: Row, ids: list[int]) -> Row:
    """The distribution of a token in Ollama's own engine."""
    row = temperature(top_k(row, fields["top_k"]), fields["temperature"])
    return softmax(min_p(top_p(row, fields["top_p"]), fields["min_p"]))


def openai(fields: Mapping[str, Any], row: Row, ids: list[int]) -> Row:
    """The distribution of a token at a server with OpenAI's fields."""
    return softmax(top_p(temperature(row, fields["temperature"]), fields["top_p"]))
