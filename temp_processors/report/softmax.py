"""The textbook picture: what temperature does to a handful of logits.

    p_i = exp(x_i / T) / sum_j exp(x_j / T)

Everything here is float64 Python: neither numpy nor torch is needed for the numbers, matplotlib only for the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temp_processors.report.figures import blank_figure, colours, legend_below, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXTBOOK_LOGITS = (1.0, 2.0, 3.0, 4.0)
TEXTBOOK_TEMPERATURES = (1.0, 0.5, 0.1)


@dataclass(frozen=True)
class SoftmaxNumbers:
    """A softmax at one temperature, described.

    Args:
        temperature: T, 0 for its limit (all mass on the first largest logit).
        probabilities: softmax(x / T).
        variance: Mean squared distance of the probabilities from 1/n (divided by n, not n - 1).
        entropy: In nats.
        cross_entropy: -log p_target = cross_entropy(x / T, target), in nats; inf where p_target is 0.
        double_softmax: The wrong number: cross_entropy(softmax(x / T), target). A cross-entropy loss takes logits and
            applies softmax itself, so feeding it probabilities applies softmax twice.
    """

    temperature: float
    probabilities: tuple[float, ...]
    variance: float
    entropy: float
    cross_entropy: float
    double_softmax: float


def log_softmax(logits: Sequence[float], temperature: float = 1.0) -> tuple[float, ...]:
    """log softmax(x / T), the largest logit subtracted first, so that no temperature overflows.

    -inf entries stay -inf. T = 0 is the limit: 0 at the first largest logit, -inf elsewhere.

    Example:
        >>> [round(math.exp(p), 4) for p in log_softmax([1, 2, 3, 4], 0.5)]
        [0.0021, 0.0158, 0.1171, 0.865]
    """
    _check(logits, temperature)
    largest = max(logits)
    if temperature == 0:
        return tuple(0.0 if i == logits.index(largest) else -math.inf for i in range(len(logits)))
    scaled = [(x - largest) / temperature for x in logits]
    total = math.log(math.fsum(map(math.exp, scaled)))
    return tuple(x - total for x in scaled)


def softmax_numbers(logits: Sequence[float], temperature: float, target: int) -> SoftmaxNumbers:
    """Probabilities, variance, entropy and cross-entropy of softmax(x / T).

    Args:
        logits: At least two numbers, at least one finite; -inf stands for a masked entry.
        temperature: T >= 0.
        target: Index of the right answer, counted from 0.

    Raises:
        ValueError: Naming the value that is out of range.

    Example:
        >>> right = softmax_numbers([1, 2, 3, 4], temperature=0.5, target=3)
        >>> round(right.cross_entropy, 4), round(right.double_softmax, 4)
        (0.1451, 0.8429)
    """
    if not 0 <= target < len(logits):
        raise ValueError(f"target has to be an index from 0 to {len(logits) - 1}, but is {target}")
    logs = log_softmax(logits, temperature)
    probabilities = tuple(map(math.exp, logs))
    mean = 1 / len(logits)
    return SoftmaxNumbers(
        temperature=temperature,
        probabilities=probabilities,
        variance=math.fsum((p - mean) ** 2 for p in probabilities) / len(logits),
        entropy=-math.fsum(p * log for p, log in zip(probabilities, logs, strict=True) if p > 0) + 0.0,
        cross_entropy=-logs[target] + 0.0,
        double_softmax=-log_softmax(probabilities)[target],
    )


def _check(logits: Sequence[float], temperature: float) -> None:
    if len(logits) < 2:
        raise ValueError(f"logits have to be at least two numbers, but are {list(logits)}")
    if any(math.isnan(x) or x == math.inf for x in logits) or max(logits) == -math.inf:
        raise ValueError(f"logits have to be finite or -inf, at least one finite, but are {list(logits)}")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature has to be a finite number >= 0, but is {temperature}")


MARKERS = "osD^vP*X"
MOST_TICKS = 12


@styled()
def softmax_figure(numbers: Sequence[SoftmaxNumbers], logits: Sequence[float], target: int) -> Figure:
    """A dashed line with markers for every temperature over the index of the logits; the legend says T, the loss and the entropy.

    Args:
        numbers: Of every temperature, from `softmax_numbers`.
        logits: Those of `numbers`.
        target: That of `numbers`.
    """
    figure, axes = blank_figure(width=5.0, height=3.6)
    handles: dict[str, Any] = {}
    for place, (row, colour) in enumerate(zip(numbers, colours(len(numbers)), strict=True)):
        name = f"T = {row.temperature:g}: loss {row.cross_entropy:.3g}, entropy {row.entropy:.3g} nats"
        (line,) = axes.plot(
            range(len(logits)),
            row.probabilities,
            linestyle="--",
            linewidth=1.2,
            marker=MARKERS[place % len(MARKERS)],
            markersize=5,
            color=colour,
        )
        handles.setdefault(name, line)
    step = -(-len(logits) // MOST_TICKS)
    axes.set_xticks(range(0, len(logits), step), [f"{i}\n({logits[i]:g})" for i in range(0, len(logits), step)])
    axes.axvline(target, color="0.8", linewidth=0.8, zorder=0)
    axes.set_title(f"loss = $-\\log\\,p$ of the target, index {target}", fontsize=9)
    axes.set_xlabel("index $i$, from 0 (logit $x_i$)")
    axes.set_ylabel("probability softmax$(x/T)_i$")
    axes.set_ylim(-0.03, 1.03)
    legend_below(figure, handles, columns=1)
    return figure


def softmax_lines(numbers: Sequence[SoftmaxNumbers], logits: Sequence[float], target: int) -> list[str]:
    """The numbers as lines of text, four digits of each, with what the two cross-entropies are; indices count from 0."""
    heads = ["T", *(f"p[{i}]" for i in range(len(logits))), "variance", "entropy", "cross-entropy", "softmax twice"]
    rows = [
        [f"{value:.4g}" for value in (n.temperature, *n.probabilities)]
        + [f"{value:.4g}" for value in (n.variance, n.entropy, n.cross_entropy, n.double_softmax)]
        for n in numbers
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]]
    held = ", ".join(f"{x:g}" for x in logits)
    return [
        f"logits {held}; indices count from 0, so p[{target}] is that of the target, logit {logits[target]:g}",
        "",
        *table,
        "",
        f"variance: of the {len(logits)} probabilities around 1/{len(logits)}; entropy and cross-entropy in nats",
        f"cross-entropy: -log p[{target}] = cross_entropy(x / T, {target}), the right number",
        f"softmax twice: cross_entropy(softmax(x / T), {target}) is a different, wrong number: the loss applies softmax",
        "  itself, so it has to be fed x / T, never probabilities",
    ]
