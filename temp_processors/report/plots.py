"""The pictures of a run, each a function that returns a matplotlib Figure, and `write_plots`, which saves all of them.

Scores come as in `metrics.json` (policy -> metric -> {"value", "interval", ...}), traces as `folder.Trace`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temp_processors.metrics.catalogue import described
from temp_processors.report.figures import blank_figure, legend_below, save, styled, titled
from temp_processors.report.marks import Mark, marks_of
from temp_processors.report.names import apart, log_ticks, longest_line, shortened, wrapped
from temp_processors.report.page_data import question
from temp_processors.report.step_plots import step_figures
from temp_processors.report.task_plots import task_figures
from temp_processors.runs.lenient import LoadedRun, load_run, own_file, own_folder
from temp_processors.runs.wording import Scores, bounds, display_with_unit, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
FRONTIERS = ("distinct_2", "self_bleu_4")
"""Metrics of diversity that are drawn against perplexity."""
TICK_WIDTH = 28
"""Columns of a name at an axis."""
SLANTED = 0.045
"""Height that a further column of a slanted name takes, in inches: the figure grows by it, so that its axes stay as they are."""
SCALE, NAMED = 1.9, 0.24
"""Inches that the temperatures take beside policies without one, and that each of these takes: its slanted name."""
MODEL_WIDTH = 40
MOST_NARROW = 12
"""With more policies a frontier is as wide as a page, so that its legend is not longer than the picture."""


def value_and_interval(score: Mapping[str, Any]) -> tuple[float, float, float]:
    """Value, low end and high end; both ends are NaN where there is no interval: nothing is known, which is no interval of length 0."""
    low, high = bounds(score) or (math.nan, math.nan)
    return number(score.get("value")), low, high


def has_metric(policies: Scores, metric: str) -> bool:
    """Whether any policy has a number for `metric`."""
    return any(not math.isnan(number(row.get(metric, {}).get("value"))) for row in policies.values())


@styled()
def metric_figure(
    policies: Scores,
    metric: str,
    temperatures: Mapping[str, float] | None = None,
    *,
    marks: Mapping[str, Mark] | None = None,
    source: str = "",
) -> Figure:
    """One metric against temperature, with its intervals; policies without a single temperature stand to the right.

    The figure is as wide as a column of a paper, and wider where the names of many policies need it. Perplexity runs on a
    logarithmic axis.

    Args:
        policies: Scores as in `metrics.json`.
        metric: Which of them.
        temperatures: Temperature by policy name, for those that have one.
        marks: Colour and marker by policy name, as all pictures of the run have them; made of `policies` by default.
        source: What is below the title: the model and how many texts; see `source_line`.
    """
    known, own = temperatures or {}, marks or marks_of(policies, temperatures)
    fixed = sorted((name for name in policies if name in known), key=lambda name: known[name])
    others = [name for name in policies if name not in known]
    places, inch = _places({name: known[name] for name in fixed}, others)
    needed = (SCALE if fixed else 0.0) + NAMED * len(others)
    figure, axes = blank_figure(width=3.4 + max(0.0, needed - 2.6 if others else 0.0))
    line = [(places[name], value_and_interval(policies[name].get(metric, {}))[0]) for name in fixed]
    if line:
        axes.plot(*zip(*line, strict=True), color="0.65", linewidth=1, zorder=1)
    hollow = [_point(axes, places[name], policies[name].get(metric, {}), own[name]) for name in policies]
    if metric == "perplexity" and has_metric(policies, metric):
        _plain_log_ticks(axes, "y")
    if others:
        if fixed:
            axes.axvline(places[fixed[-1]] + 0.15 * inch, color="0.8", linewidth=0.8)
        names = apart([wrapped(name, TICK_WIDTH, 1) for name in others])
        labelled = _thinned(sorted({places[name] for name in fixed}), NAMED * inch)
        figure.set_figheight(figure.get_figheight() + max(0.0, longest_line(names) - 8) * SLANTED)
        ticks, labels = [*labelled, *(places[name] for name in others)], [*(f"{place:g}" for place in labelled), *names]
        axes.set_xticks(ticks, labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_xlabel("temperature" if fixed and not others else "temperature, or policy" if fixed else "policy")
    axes.set_ylabel(display_with_unit(metric, policies) + (" (log scale)" if metric == "perplexity" else ""))
    title = f"{described(metric).display} by {'temperature' if fixed else 'policy'}"
    titled(figure, title, source, _meaning(any(hollow)))
    return figure


def _places(fixed: Mapping[str, float], others: Sequence[str]) -> tuple[dict[str, float], float]:
    """Where policies stand on the axis, and how much of it is an inch."""
    last, first = max(fixed.values(), default=0.0), min(fixed.values(), default=0.0)
    inch = ((last - first) or 1.0) / SCALE
    return {**fixed, **{name: last + inch * NAMED * (i + 1.3) for i, name in enumerate(others)}}, inch


def _thinned(places: Sequence[float], least: float) -> list[float]:
    """Of places in order, those that leave at least so much between two neighbours."""
    found: list[float] = []
    for place in places:
        if not found or place - found[-1] >= least:
            found.append(place)
    return found


def _point(axes: Axes, x: float, score: Mapping[str, Any], mark: Mark) -> bool:
    """Draw a value with its interval; whether it is hollow, because there is none."""
    y, low, high = value_and_interval(score)
    errors = _error_bars([y], [low], [high])
    face = "white" if math.isnan(low) else mark.colour
    axes.errorbar([x], [y], errors, **_style(mark, face))
    return math.isnan(low) and not math.isnan(y)


def _style(mark: Mark, face: Any) -> dict[str, Any]:
    own = {"fmt": mark.marker, "color": mark.colour, "markerfacecolor": face}
    return {**own, "markersize": 5, "linewidth": 1, "elinewidth": 1, "capsize": 2.5}


def _meaning(hollow: bool) -> str:
    return "bars: 95 % intervals" + ("; hollow: no interval is known" if hollow else "")


def source_line(run: LoadedRun) -> str:
    """What the numbers of a run are of, for the line below the title: `model fox; 1 prompt, 64 texts of each policy`."""
    held = question(run)
    model = f"model {shortened(held['model'], MODEL_WIDTH)}; " if held["model"] else ""
    prompts = f"{held['prompts']:,} prompt{'s' * (held['prompts'] != 1)}"
    texts = f"{held['most']:,}" if held["least"] == held["most"] else f"{held['least']:,} to {held['most']:,}"
    return f"{model}{prompts}, {texts} text{'s' * (held['most'] != 1)} of each policy" + (
        " and prompt" if held["prompts"] > 1 else ""
    )


def _error_bars(ys: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[list[float]]:
    """Lengths of the arms below and above; NaN draws none."""
    below = [y - low if low <= y else math.nan for y, low in zip(ys, lows, strict=True)]
    above = [high - y if y <= high < math.inf else math.nan for y, high in zip(ys, highs, strict=True)]
    return [below, above]


@styled()
def frontier_figure(
    policies: Scores,
    diversity: str = "distinct_2",
    quality: str = "perplexity",
    temperatures: Mapping[str, float] | None = None,
    *,
    marks: Mapping[str, Mark] | None = None,
    source: str = "",
) -> Figure:
    """Diversity against quality, one point with its intervals for every policy; hollow where one of them is not known.

    A grey line joins the fixed temperatures from the coldest to the hottest. Perplexity runs on a logarithmic axis: low is
    fluent. For self-BLEU low is diverse.

    Args:
        policies: Scores as in `metrics.json`.
        diversity: The metric at the vertical axis.
        quality: The metric at the horizontal axis.
        temperatures: Temperature by policy name, for those that have one.
        marks: Colour and marker by policy name, as all pictures of the run have them; made of `policies` by default.
        source: What is below the title; see `source_line`.
    """
    figure, axes = blank_figure(width=3.4 if len(policies) <= MOST_NARROW else 6.8, height=2.9)
    known, own = temperatures or {}, marks or marks_of(policies, temperatures)
    handles: dict[str, Any] = {}
    places: dict[str, tuple[float, float]] = {}
    hollow = False
    for name, row in policies.items():
        x, *x_ends = value_and_interval(row.get(quality, {}))
        y, *y_ends = value_and_interval(row.get(diversity, {}))
        x_bars, y_bars = _error_bars([x], x_ends[:1], x_ends[1:]), _error_bars([y], y_ends[:1], y_ends[1:])
        unknown = math.isnan(x_ends[0]) or math.isnan(y_ends[0])
        face = "white" if unknown else own[name].colour
        axes.errorbar([x], [y], y_bars, x_bars, **_style(own[name], face))
        handles[name] = axes.plot([], [], own[name].marker, color=own[name].colour, markerfacecolor=face)[0]
        places[name] = x, y
        hollow = hollow or (unknown and not math.isnan(x + y))
    line = [places[name] for name in sorted(known, key=lambda name: known[name]) if name in places]
    if len(line) > 1:
        axes.plot(*zip(*line, strict=True), color="0.75", linewidth=1, zorder=1)
    if quality == "perplexity" and has_metric(policies, quality):
        _plain_log_ticks(axes, "x")
    axes.set_xlabel(described(quality).display + (", untempered model (log scale)" if quality == "perplexity" else ""))
    axes.set_ylabel(described(diversity).display)
    legend_below(figure, handles, columns=2 if len(policies) <= 4 else 3 if len(policies) <= MOST_NARROW else 5)
    joined = "; grey line: fixed temperatures, cold to hot" if len(line) > 1 else ""
    titled(
        figure,
        f"{described(diversity).display} against {described(quality).display}",
        source,
        _meaning(hollow) + joined,
    )
    return figure


def _plain_log_ticks(axes: Axes, which: str) -> None:
    """A logarithmic axis, `x` or `y`, whose labels are plain numbers that do not overprint."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axes.set(**{f"{which}lim": (low, high)})


def write_plots(run_folder: Path | LoadedRun, out: Path | None = None) -> list[Path]:
    """Save every picture that the run has the numbers for, as .png, .svg and .pdf.

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
    return [save(figure, own_file(folder / f"{name}{end}")) for name, figure in figures.items() for end in ENDINGS]


def run_figures(run: LoadedRun) -> dict[str, Figure]:
    """The pictures of a run by file name: each says of what model and of how many texts, and has a policy's one colour and marker."""
    known, source = run.temperatures, source_line(run)
    marks = marks_of(run.policies, known)
    figures: dict[str, Figure] = {}
    names = dict.fromkeys(metric for row in run.metrics.values() for metric in row)
    for metric in names:
        if has_metric(run.metrics, metric):
            figures[metric] = metric_figure(run.metrics, metric, known, marks=marks, source=source)
    for diversity in FRONTIERS:
        if has_metric(run.metrics, diversity) and has_metric(run.metrics, "perplexity"):
            figures[f"frontier_{diversity}"] = frontier_figure(
                run.metrics, diversity, temperatures=known, marks=marks, source=source
            )
    return figures | task_figures(run, marks, source) | step_figures(run, marks, source)
