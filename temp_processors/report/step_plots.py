"""Pictures of the traces of a run: entropy and temperature over the steps, and the least certain step under several temperatures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from temp_processors.report.figures import blank_figure, legend_below, styled, titled
from temp_processors.report.marks import Mark, marks_of, warm
from temp_processors.report.names import wrapped
from temp_processors.report.softmax import log_softmax
from temp_processors.runs.lenient import LoadedRun, Trace
from temp_processors.runs.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_TEMPERATURES = (2.0, 1.0, 0.5, 0.25)
MOST_BANDS = 4
MOST_ROWS = 8
"""More policies stand two in a row, so that 30 fit on a page."""
MARKERS = "osD^v"
STYLE: Any = {"markersize": 4, "linewidth": 1}
TICK_WIDTH, TITLE_WIDTH = 28, 46
"""Columns of a name at an axis, and of one above a row of axes."""
BAND = "line: median over the traced texts; band: 10 to 90 % of them"


def step_figures(run: LoadedRun, marks: Mapping[str, Mark], source: str) -> dict[str, Figure]:
    """The pictures by file name, `steps` and `distribution`; none where the run has no traces."""
    groups: dict[str, list[Trace]] = {name: [] for name in run.policies}
    for (policy, _, _), trace in run.traces.items():
        groups.setdefault(policy, []).append(trace)
    if not run.traces:
        return {}
    held = {name: group for name, group in groups.items() if group}
    return {"steps": steps_figure(held, marks=marks, source=source), "distribution": _widest_distribution(run, source)}


@styled()
def steps_figure(
    traces: Mapping[str, Sequence[Trace]], *, marks: Mapping[str, Mark] | None = None, source: str = ""
) -> Figure:
    """Entropy of the model and temperature of the policy at every step: median and 10 to 90 per cent band over samples.

    Up to four policies share their axes. More get a row each, from nine on two in a row, on the same scales, because their
    bands would hide one another.

    Args:
        traces: The traces of every policy, by its name.
        marks: Colour and marker by policy name, as all pictures of the run have them; made of `traces` by default.
        source: What is below the title: the model and how many texts.
    """
    own = marks or marks_of(traces)
    figure = _steps_together(traces, own) if len(traces) <= MOST_BANDS else _steps_apart(traces, own)
    sizes = sorted({len(group) for group in traces.values()})
    traced = (
        f"traced texts of each policy: {' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))}" if sizes else ""
    )
    titled(figure, "entropy and temperature by step", source, f"{BAND}; {traced}")
    return figure


def _steps_together(traces: Mapping[str, Sequence[Trace]], marks: Mapping[str, Mark]) -> Figure:
    figure, (top, bottom) = blank_figure(width=3.4, height=3.9, rows=2)
    handles: dict[str, Any] = {}
    for name, group in traces.items():
        handles[name] = _band(top, [trace.entropy for trace in group], marks[name])
        _band(bottom, [trace.temperature for trace in group], marks[name])
    top.set_ylabel("entropy (nats)")
    bottom.set_ylabel("temperature")
    bottom.set_xlabel("step (0 = first new token)")
    top.set_ylim(bottom=0)
    bottom.set_ylim(bottom=0)
    bottom.xaxis.get_major_locator().set_params(integer=True)
    legend_below(figure, handles, columns=2)
    return figure


def _steps_apart(traces: Mapping[str, Sequence[Trace]], marks: Mapping[str, Mark]) -> Figure:
    from matplotlib.figure import Figure

    beside = 1 if len(traces) <= MOST_ROWS else 2
    rows = -(-len(traces) // beside)
    figure = Figure(figsize=(3.4 * beside, 0.7 + (0.78 if beside == 1 else 0.62) * rows), layout="constrained")
    grid = figure.subplots(rows, 2 * beside, sharex=True, squeeze=False)
    cells = [(grid[i % rows][2 * (i // rows)], grid[i % rows][2 * (i // rows) + 1]) for i in range(rows * beside)]
    for left, right in cells[1:]:
        left.sharey(cells[0][0])
        right.sharey(cells[0][1])
    for (left, right), (name, group) in zip(cells, traces.items(), strict=False):
        _band(left, [trace.entropy for trace in group], marks[name])
        _band(right, [trace.temperature for trace in group], marks[name])
        left.set_title(wrapped(name, TITLE_WIDTH, 1), loc="left", fontsize=8, pad=2)
        if all(math.isnan(number(value)) for trace in group for value in trace.temperature):
            right.text(
                0.5, 0.5, "no single temperature", transform=right.transAxes, fontsize=7, ha="center", color="0.4"
            )
    for left, right in cells[len(traces) :]:
        left.set_axis_off()
        right.set_axis_off()
    cells[0][0].set_ylim(bottom=0)
    cells[0][1].set_ylim(bottom=0)
    grid[-1][0].xaxis.get_major_locator().set_params(integer=True)
    figure.supxlabel("step (0 = first new token)", fontsize=9)
    for axes, label in zip(grid[0], ("entropy (nats)", "temperature") * beside, strict=True):
        axes.annotate(
            label, (0.5, 1), xycoords="axes fraction", xytext=(0, 14), textcoords="offset points", ha="center"
        )
    return figure


def _band(axes: Axes, columns: Iterable[Sequence[float | None]], mark: Mark) -> Any:
    """The median over samples at every step, and the band around it; returns the line."""
    longest = list(columns)
    steps, lows, medians, highs = [], [], [], []
    for step in range(max(map(len, longest), default=0)):
        values = [v for column in longest if step < len(column) and not math.isnan(v := number(column[step]))]
        if values:
            low, high = _deciles(values)
            steps.append(step)
            lows.append(low)
            medians.append(statistics.median(values))
            highs.append(high)
    axes.fill_between(steps, lows, highs, color=mark.colour, alpha=0.16, linewidth=0)
    style: dict[str, Any] = {
        "color": mark.colour,
        "marker": mark.marker,
        "markersize": 3,
        "markevery": max(1, len(steps) // 8),
    }
    # Markers at the ends stay whole; a line without points has no extent that a layout could hold.
    return axes.plot(steps, medians, linewidth=1.3, clip_on=not steps, **style)[0]


def _deciles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return cuts[0], cuts[-1]


@styled()
def distribution_figure(
    labels: Sequence[str],
    logits: Sequence[float],
    temperatures: Sequence[float] = SHOWN_TEMPERATURES,
    *,
    source: str = "",
    where: str = "",
) -> Figure:
    """The recorded tokens of one step under several temperatures, renormalised over them.

    Args:
        labels: A name for every token.
        logits: Their untempered logits, largest first.
        temperatures: Each gives one line of dots, coloured from cold to hot.
        source: What is below the title: the model and how many texts.
        where: Which step it is.
    """
    figure, axes = blank_figure(width=3.4, height=0.9 + 0.22 * len(labels))
    places = range(len(labels))
    ranks, shades = sorted(set(temperatures)), warm(len(set(temperatures)))
    for temperature, marker in zip(temperatures, cycle(MARKERS)):
        probabilities = [math.exp(p) for p in log_softmax(logits, temperature)]
        axes.plot(
            probabilities,
            places,
            f"{marker}-",
            color=shades[ranks.index(temperature)],
            **STYLE,
            label=f"T = {temperature:g}",
        )
    axes.set_yticks(places, [wrapped(label, TICK_WIDTH, 1) for label in labels])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("probability among the tokens shown")
    axes.legend(loc="lower right", frameon=False)
    titled(figure, "next token under several temperatures", source, where)
    return figure


def _widest_distribution(run: LoadedRun, source: str) -> Figure:
    """The step of the first traced sample where the model was least sure."""
    from temp_processors.report.tokens import token_pieces

    (policy, prompt, sample), trace = next(
        item for item in sorted(run.traces.items(), key=lambda item: item[0][1:]) if len(item[1])
    )
    step = max(range(len(trace)), key=lambda i: number(trace.entropy[i]))
    pieces, _ = token_pieces(run, trace.top_ids[step])
    labels = [pieces[token].shown for token in trace.top_ids[step]]
    where = f"one step, the least certain of its text: step {step}, prompt {prompt}, sample {sample} of {policy}"
    return distribution_figure(labels, trace.top_logits[step], source=source, where=where)
