"""`--log`: the scores of a run in trackio, Weights & Biases or TensorBoard, through their own libraries.

Every policy is a run of its own there, in the group of the experiment, with its settings as the configuration: so a score can be drawn over
temperature.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from temp_processors.cli.errors import FAILED, refused
from temp_processors.inert import one_line

if TYPE_CHECKING:
    from temp_processors.config.experiment import ExperimentConfig
    from temp_processors.runs.folder import Run

PROJECT = "temp-processors"
Policy = tuple[str, dict[str, Any], dict[str, float]]
"""Name, settings and scores."""


def _trackio(run: Run, name: str, policies: Sequence[Policy]) -> str:
    trackio = importlib.import_module("trackio")
    for policy, settings, scores in policies:
        trackio.init(project=PROJECT, name=f"{name}/{policy}", group=name, config=settings)
        trackio.log(scores)
        trackio.finish()
    return f"`trackio show --project {PROJECT}` shows it"


def _wandb(run: Run, name: str, policies: Sequence[Policy]) -> str:
    wandb = importlib.import_module("wandb")
    for policy, settings, scores in policies:
        with wandb.init(project=PROJECT, name=policy, group=name, config=settings, dir=str(run.path)) as tracked:
            tracked.log(scores)
    return f"project {PROJECT}, group {name}"


def _tensorboard(run: Run, name: str, policies: Sequence[Policy]) -> str:
    from torch.utils.tensorboard import SummaryWriter

    folder = run.path / "tensorboard"
    for place, (_, settings, scores) in enumerate(policies):
        with SummaryWriter(str(folder / str(place))) as writer:
            plain = {key: value for key, value in settings.items() if isinstance(value, (str, int, float, bool))}
            writer.add_hparams(plain, scores, run_name=".")
    return f"`tensorboard --logdir {folder}` shows it"


TRACKERS: Mapping[str, Callable[[Run, str, Sequence[Policy]], str]] = {
    "trackio": _trackio,
    "wandb": _wandb,
    "tensorboard": _tensorboard,
}


def trackers(names: Sequence[str]) -> list[str]:
    """The names of `--log`, each once; one that is unknown or not installed ends the command before anything is drawn."""
    for name in names:
        if name not in TRACKERS:
            raise refused(f"--log: has to be one of {', '.join(TRACKERS)}, but is {name!r}")
        if importlib.util.find_spec(name) is None:
            raise refused(f"--log {name}: {name} is not installed: pip install 'temp-processors[{name}]'")
    return list(dict.fromkeys(names))


def log_run(tracker: str, run: Run, config: ExperimentConfig, console: Console) -> None:
    """Log the scores of every policy. What the library raises ends the command with one line: the run is complete all the same."""
    errors = _errors_of(importlib.import_module(tracker))
    try:
        told = TRACKERS[tracker](run, config.name, list(_policies(run, config)))
    except errors as error:
        reason = one_line(str(error).strip().partition("\n")[0] or type(error).__name__)
        raise refused(f"--log {tracker}: {reason}; the run in {run.path} is complete", FAILED) from error
    console.print(f"logged: {tracker}: {told}", soft_wrap=True)


def _errors_of(library: Any) -> tuple[type[Exception], ...]:
    """The errors of a library and of the network."""
    own = getattr(library, "Error", None)
    return (OSError, ValueError, RuntimeError, *([own] if isinstance(own, type) else []))


def _policies(run: Run, config: ExperimentConfig) -> Iterator[Policy]:
    scores = run.metrics
    for named in config.policies:
        settings = {"model": str(config.model), "policy": named.name, **named.policy.model_dump(mode="json")}
        yield named.name, settings, _numbers(scores.get(named.name, {}))


def _numbers(row: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The values of the scores and the ends of their intervals, as far as they are numbers."""
    found: dict[str, float] = {}
    for metric, score in row.items():
        low, high = score.get("interval") or (None, None)
        for name, value in ((metric, score.get("value")), (f"{metric}/low", low), (f"{metric}/high", high)):
            if isinstance(value, (int, float)) and math.isfinite(value):
                found[name] = float(value)
    return found
