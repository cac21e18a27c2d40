"""The pictures of a run, each a function that returns a matplotlib Figure, and `write_plots`, which saves all of them.

Scores come as in `metrics.json` (policy -> metric -> {"value", "interval", ...}), traces as `folder.Trace`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temp_processors.metrics.catalogue import described
from temp_processors.report.figures import blank_figure, colours, legend_below, save, styled
from temp_processors.report.names import apart, log_ticks, longest_line, wrapped
from temp_processors.report.softmax import log_softmax
from temp_processors.report.task_plots import task_figures
from temp_processors.report.wording import Scores, bounds, display_with_unit, number
from temp_processors.runs.lenient import LoadedRun, Trace, load_run, own_file, own_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_TEMPERATURES = (2.0, 1.0, 0.5, 0.25)
MARKERS = "osD^vPX*"
FRONTIERS = ("distinct_2", "self_bleu_4")
"""Metrics of diversity that are drawn against perplexity."""
MOST_BANDS = 4
TICK_WIDTH, TITLE_WIDTH = 28, 46
"""Columns of a name at an axis, and of one above a row of axes."""
SLANTED = 0.045
"""Height that a further column of a slanted name takes, in inches: the figure grows by it, so that its axes stay as they are."""


def value_and_interval(score: Mapping[str, Any]) -> tuple[float, float, float]:
    """Value, low end and high end; both ends are NaN where there is no interval: nothing is known, which is no interval of length 0."""
    low, high = bounds(score) or (math.nan, math.nan)
    return number(score.get("value")), low, high


def has_metric(policies: Scores, metric: str) -> bool:
    """Whether any policy has a number for `metric`."""
    return any(not math.isnan(number(row.get(metric, {}).get("value"))) for row in policies.values())


@styled()
def metric_figure(policies: Scores, metric: str, temperatures: Mapping[str, float] | None = None) -> Figure:
    """One metric against temperature, with its intervals; policies without a single temperature stand to the right.

    Args:
        policies: Scores as in `metrics.json`.
        metric: Which of them.
        temperatures: Temperature by policy name, for those that have one.
    """
    figure, axes = blank_figure()
    known = temperatures or {}
    fixed = sorted((name for name in policies if name in known), key=lambda name: known[name])
    others = [name for name in policies if name not in known]
    places = {name: known[name] for name in fixed}
    first, gap = max([*places.values(), 0.0]), max([*places.values(), 1.0]) / 6
    places |= {name: first + gap * (i + 1) for i, name in enumerate(others)}
    for names, style, colour in ((fixed, "o-", colours(3)[0]), (others, "D", colours(3)[1])):
        points = [(places[name], *value_and_interval(policies[name].get(metric, {}))) for name in names]
        _with_intervals(axes, points, style, colour)
    if others:
        if fixed:
            axes.axvline(first + gap / 2, color="0.8", linewidth=0.8)
        ticks = [*dict.fromkeys(places[n] for n in fixed), *(places[n] for n in others)]
        names = apart([wrapped(name, TICK_WIDTH, 1) for name in others])
        labels = [*dict.fromkeys(f"{known[n]:g}" for n in fixed), *names]
        figure.set_figheight(figure.get_figheight() + max(0.0, longest_line(names) - 8) * SLANTED)
        axes.set_xticks(ticks, labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_xlabel("temperature" if fixed and not others else "temperature, or policy" if fixed else "policy")
    axes.set_ylabel(display_with_unit(metric, policies))
    return figure


def _with_intervals(axes: Axes, points: Sequence[tuple[float, float, float, float]], style: str, colour: Any) -> None:
    """Points (x, y, low, high), drawn with their intervals; hollow where there is none."""
    if not points:
        return
    xs, ys, lows, highs = zip(*points, strict=True)
    errors = _error_bars(ys, lows, highs)
    axes.errorbar(xs, ys, errors, fmt=style, color=colour, markersize=4, linewidth=1.2, elinewidth=1, capsize=2.5)
    hollow = [(x, y) for x, y, low, _ in points if math.isnan(low)]
    if hollow:
        axes.plot(*zip(*hollow, strict=True), style[0], color=colour, markerfacecolor="white", markersize=4, zorder=3)


def _error_bars(ys: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[list[float]]:
    """Lengths of the arms below and above; NaN draws none."""
    below = [y - low if low <= y else math.nan for y, low in zip(ys, lows, strict=True)]
    above = [high - y if y <= high < math.inf else math.nan for y, high in zip(ys, highs, strict=True)]
    return [below, above]


@styled()
def frontier_figure(policies: Scores, diversity: str = "distinct_2", quality: str = "perplexity") -> Figure:
    """Diversity against quality, one labelled point with its intervals for every policy; hollow where one of them is not known.

    Perplexity runs on a logarithmic axis: low is fluent. For self-BLEU low is diverse.
    """
    figure, axes = blank_figure(width=3.4, height=3.0)
    rows = [(name, row.get(quality, {}), row.get(diversity, {})) for name, row in policies.items()]
    handles: dict[str, Any] = {}
    for (name, x_score, y_score), colour, marker in zip(rows, colours(len(rows)), cycle(MARKERS), strict=False):
        (x, *x_ends), (y, *y_ends) = value_and_interval(x_score), value_and_interval(y_score)
        x_bars = _error_bars([x], x_ends[:1], x_ends[1:])
        y_bars = _error_bars([y], y_ends[:1], y_ends[1:])
        known = not (math.isnan(x_ends[0]) or math.isnan(y_ends[0]))
        handles[name] = axes.errorbar(
            [x],
            [y],
            y_bars,
            x_bars,
            fmt=marker,
            color=colour,
            markerfacecolor=colour if known else "white",
            markersize=5,
            capsize=2.5,
            linewidth=1,
        )
    if quality == "perplexity" and has_metric(policies, quality):
        axes.set_xscale("log")
        _plain_log_ticks(axes)
    axes.set_xlabel(described(quality).display + (", untempered model (log scale)" if quality == "perplexity" else ""))
    axes.set_ylabel(described(diversity).display)
    legend_below(figure, handles, columns=3 if len(rows) > 4 else 2)
    return figure


def _plain_log_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low, high)


@styled()
def steps_figure(traces: Mapping[str, Sequence[Trace]]) -> Figure:
    """Entropy of the model and temperature of the policy at every step: median and 10 to 90 per cent band over samples.

    Up to four policies share their axes. More get a row each, on the same scales, because their bands would hide one
    another.

    Args:
        traces: The traces of every policy, by its name.
    """
    return _steps_together(traces) if len(traces) <= MOST_BANDS else _steps_apart(traces)


def _steps_together(traces: Mapping[str, Sequence[Trace]]) -> Figure:
    figure, (top, bottom) = blank_figure(width=3.4, height=3.9, rows=2)
    handles: dict[str, Any] = {}
    for (name, group), colour in zip(traces.items(), colours(len(traces)), strict=True):
        handles[name] = _band(top, [trace.entropy for trace in group], colour)
        _band(bottom, [trace.temperature for trace in group], colour)
    top.set_ylabel("entropy (nats)")
    bottom.set_ylabel("temperature")
    bottom.set_xlabel("step (0 = first new token)")
    top.set_ylim(bottom=0)
    bottom.set_ylim(bottom=0)
    bottom.xaxis.get_major_locator().set_params(integer=True)
    legend_below(figure, handles, columns=2)
    return figure


def _steps_apart(traces: Mapping[str, Sequence[Trace]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4, 0.7 + 0.78 * len(traces)), layout="constrained")
    grid = figure.subplots(len(traces), 2, sharex=True, sharey="col")
    colour = colours(3)[0]
    for (left, right), (name, group) in zip(grid, traces.items(), strict=True):
        _band(left, [trace.entropy for trace in group], colour)
        _band(right, [trace.temperature for trace in group], colour)
        left.set_title(wrapped(name, TITLE_WIDTH, 1), loc="left", fontsize=8, pad=2)
        if all(math.isnan(number(value)) for trace in group for value in trace.temperature):
            right.text(
                0.5, 0.5, "no single temperature", transform=right.transAxes, fontsize=7, ha="center", color="0.4"
            )
    grid[0][0].set_ylim(bottom=0)
    grid[0][1].set_ylim(bottom=0)
    grid[-1][0].xaxis.get_major_locator().set_params(integer=True)
    figure.supxlabel("step (0 = first new token)", fontsize=9)
    for axes, label in zip(grid[0], ("entropy (nats)", "temperature"), strict=True):
        axes.annotate(
            label, (0.5, 1), xycoords="axes fraction", xytext=(0, 14), textcoords="offset points", ha="center"
        )
    return figure


def _band(axes: Axes, columns: Iterable[Sequence[float | None]], colour: Any) -> Any:
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
    axes.fill_between(steps, lows, highs, color=colour, alpha=0.13, linewidth=0)
    return axes.plot(steps, medians, color=colour, linewidth=1.3)[0]


def _deciles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return cuts[0], cuts[-1]


@styled()
def distribution_figure(
    labels: Sequence[str], logits: Sequence[float], temperatures: Sequence[float] = SHOWN_TEMPERATURES
) -> Figure:
    """The recorded tokens of one step under several temperatures, renormalised over them.

    Args:
        labels: A name for every token.
        logits: Their untempered logits, largest first.
        temperatures: Each gives one line of dots.
    """
    figure, axes = blank_figure(width=3.4, height=0.9 + 0.22 * len(labels))
    places = range(len(labels))
    for temperature, colour in zip(temperatures, colours(len(temperatures)), strict=True):
        probabilities = [math.exp(p) for p in log_softmax(logits, temperature)]
        axes.plot(probabilities, places, "o-", color=colour, markersize=4, linewidth=1, label=f"T = {temperature:g}")
    axes.set_yticks(places, [wrapped(label, TICK_WIDTH, 1) for label in labels])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("probability among the tokens shown")
    axes.legend(loc="lower right", frameon=False)
    return figure


def write_plots(run_folder: Path | LoadedRun, out: Path | None = None) -> list[Path]:
    """Save every picture that the run has the numbers for, as .png and .svg.

    Args:
        run_folder: A run folder, or one that is loaded already.
        out: Where; `plots/` in the run folder by default.

    Returns:
        The files written.

    Raises:
        ValueError: `plots` in the run folder is a link to elsewhere.
    """
    run = run_folder if isinstance(run_folder, LoadedRun) else load_run(run_folder)
    folder = own_folder(run.path / "plots") if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    figures = run_figures(run)
    return [
        save(figure, own_file(folder / f"{name}{end}")) for name, figure in figures.items() for end in (".png", ".svg")
    ]


def run_figures(run: LoadedRun) -> dict[str, Figure]:
    """The pictures of a run by file name."""
    figures: dict[str, Figure] = {}
    names = dict.fromkeys(metric for row in run.metrics.values() for metric in row)
    for metric in names:
        if has_metric(run.metrics, metric):
            figures[metric] = metric_figure(run.metrics, metric, run.temperatures)
    for diversity in FRONTIERS:
        if has_metric(run.metrics, diversity) and has_metric(run.metrics, "perplexity"):
            figures[f"frontier_{diversity}"] = frontier_figure(run.metrics, diversity)
    figures |= task_figures(run)
    if run.traces:
        groups: dict[str, list[Trace]] = {name: [] for name in run.policies}
        for (policy, _, _), trace in run.traces.items():
            groups.setdefault(policy, []).append(trace)
        figures["steps"] = steps_figure({name: group for name, group in groups.items() if group})
        figures["distribution"] = _widest_distribution(run)
    return figures


def _widest_distribution(run: LoadedRun) -> Figure:
    """The step of the first traced sample where the model was least sure."""
    from temp_processors.report.tokens import token_pieces

    trace = next(trace for _, trace in sorted(run.traces.items(), key=lambda item: item[0][1:]) if len(trace))
    step = max(range(len(trace)), key=lambda i: number(trace.entropy[i]))
    pieces, _ = token_pieces(run, trace.top_ids[step])
    return distribution_figure([pieces[token].shown for token in trace.top_ids[step]], trace.top_logits[step])
