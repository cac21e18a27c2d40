"""`comparison.csv`: every number of the tables unrounded, one row a policy."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

from temp_processors.inert import csv_cell

VALUE = ("", "_low", "_high")
DIFFERENCE = ("_difference", "_difference_low", "_difference_high", "_p_holm", "_statement")
"""Columns of a metric, after its name. The difference of perplexities is a ratio."""


def as_csv(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Scores, as `compare_groups` returns them, as CSV: an undefined value is `nan`, what is not known is empty.

    A name that a spreadsheet would take for a formula gets an apostrophe in front.

    Example:
        >>> score = {"value": 0.25, "interval": None, "difference": None}
        >>> print(as_csv({"cold": {"distinct_1": score}}), end="")
        policy,distinct_1,distinct_1_low,distinct_1_high
        cold,0.25,,
    """
    metrics = list(next(iter(scores.values())))
    compared = any(score["difference"] for row in scores.values() for score in row.values())
    columns = (*VALUE, *(DIFFERENCE if compared else ()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["policy", *(f"{metric}{column}" for metric in metrics for column in columns)])
    for name, row in scores.items():
        parts = [(*_value(row[metric]), *(_difference(row[metric]) if compared else ())) for metric in metrics]
        writer.writerow([csv_cell(name), *(csv_cell(cell) for part in parts for cell in part)])
    return text.getvalue()


def _value(score: Mapping[str, Any]) -> list[Any]:
    return [math.nan if score["value"] is None else score["value"], *(score["interval"] or ["", ""])]


def _difference(score: Mapping[str, Any]) -> list[Any]:
    change = score["difference"]
    if not change:
        return [""] * len(DIFFERENCE)
    return [change["value"], *(change["interval"] or ["", ""]), change["p_value_holm"], change["statement"]]
