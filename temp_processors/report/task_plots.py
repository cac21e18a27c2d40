"""Pictures of a task for a paper: the mean score against temperature, and diversity against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from temp_processors.inert import is_plain_name
from temp_processors.report.marks import Mark
from temp_processors.report.task_data import OfPolicy, read_task
from temp_processors.runs.lenient import LoadedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRONTIER = "distinct_2"


def task_figures(run: LoadedRun, marks: Mapping[str, Mark] | None = None, source: str = "") -> dict[str, Figure]:
    """The pictures by file name: `score_NAME` for every scorer, and `frontier_score_NAME` where distinct-2 was measured.

    Args:
        run: The run; without a task, or with one that is damaged, there are none.
        marks: Colour and marker by policy name.
        source: What is below the titles.
    """
    from temp_processors.report.plots import frontier_figure, has_metric, metric_figure

    task, _ = read_task(run.path)
    figures: dict[str, Figure] = {}
    for scorer, own in (task.scorers if task else {}).items():
        if not is_plain_name(scorer):
            continue
        name = f"mean {scorer}".replace("_", " ")
        rows = {
            policy: {**run.metrics.get(policy, {}), name: _score(of)}
            for policy in run.policies
            if (of := own.policies.get(policy)) is not None
        }
        if not has_metric(rows, name):
            continue
        figures[f"score_{scorer}"] = metric_figure(rows, name, run.temperatures, marks=marks, source=source)
        if has_metric(rows, FRONTIER):
            figures[f"frontier_score_{scorer}"] = frontier_figure(
                rows, FRONTIER, name, run.temperatures, marks=marks, source=source
            )
    return figures


def _score(of: OfPolicy) -> dict[str, object]:
    interval = of.mean_score.interval
    return {"value": of.mean_score.value, "interval": list(interval) if interval else None}
