"""`tune`: a race of the policies of a configuration on its task, and the turning point of a run's entropies."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from temp_processors.comparison.best import TaskVerdict, task_verdict
from temp_processors.comparison.verdicts import MARGIN
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import trace_options
from temp_processors.engines.load import loaded
from temp_processors.experiment.plan import Plan
from temp_processors.metrics.arrays import Floats
from temp_processors.runs.folder import Run
from temp_processors.runs.writing import Part
from temp_processors.tasks.measures import Outcome, mean_score
from temp_processors.tasks.scorers.base import Tools
from temp_processors.tasks.task import Task
from temp_processors.tuning.drawing import Drawing
from temp_processors.tuning.families import FamilyComparison, compare_families
from temp_processors.tuning.planning import scores_of_run
from temp_processors.tuning.race import Race
from temp_processors.tuning.turning_point import FEWEST_TEMPERATURES, TurningPoint, turning_point

FEWEST_A_ROUND = 4
"""Prompts of a round; with fewer prompts in all there are fewer rounds."""


class TuneError(ValueError):
    """A configuration cannot be tuned this way; the message says why and what would work."""


@dataclass(frozen=True)
class RaceResult:
    """How a race ended.

    Args:
        race: Itself.
        verdict: On the policies that are left, over the prompts that were drawn.
        prompts: That were drawn.
        full: About how many tokens all policies on all prompts would have taken, by the tokens of a text that each policy had.
    """

    race: Race
    verdict: TaskVerdict
    prompts: int
    full: int

    @property
    def saved(self) -> float:
        """Share of the tokens of the full grid that were not drawn."""
        return 1 - self.race.tokens / self.full if self.full else 0.0

    def lines(self) -> Iterator[str]:
        """The end of the race in words."""
        yield f"{self.race.ended}: {', '.join(self.race.alive)}"
        yield self.verdict.sentence
        yield f"drew {self.race.tokens:,} tokens of about {self.full:,} for the full grid: {100 * self.saved:.0f} % saved"

    def to_dict(self) -> dict[str, Any]:
        """For `tune.json`."""
        left = {name: gone._asdict() for name, gone in self.race.left.items()}
        return {
            "method": "race",
            "ended": self.race.ended,
            "alive": self.race.alive,
            "left": left,
            "rounds": self.race.round,
            "prompts": self.prompts,
            "tokens": self.race.tokens,
            "tokens_full_grid": self.full,
            "verdict": self.verdict.to_dict(),
        }


def run_race(
    plan: Plan,
    folder: Run,
    *,
    rounds: int = 10,
    budget: int | None = None,
    overwrite: bool = False,
    allow_code_execution: bool = False,
    say: Callable[[str], None] = print,
    progress: Console | None = None,
) -> RaceResult:
    """Race the policies of a configuration on its task.

    Args:
        plan: Of the configuration; `coupled: true` makes policies share their random numbers, which tells them apart sooner.
        folder: Gets `samples.jsonl` and, at the end, `tune.json`.
        rounds: Looks, fewer where there are fewer than 4 prompts for each.
        budget: Tokens after which no further round begins.
        overwrite: Replace what is in the folder.
        allow_code_execution: As for `run_experiment`.
        say: Told each round.
        progress: Where bars go.

    Raises:
        TuneError: No task, one policy, or fewer than 4 prompts.
        ConfigError, ModelError, PromptError, RunFolderError, TaskError: As `run_experiment`.
    """
    task = _task_of(plan)
    folder.refuse_if_used(overwrite)
    names = [named.name for named in plan.config.policies]
    order = list(range(len(plan.prompts)))
    random.Random(plan.config.seed).shuffle(order)
    rounds = min(rounds, len(order) // FEWEST_A_ROUND)
    race = Race(names, rounds=rounds, margin=task.margin)
    tools = Tools(allow_code_execution, folder.path)
    task.prepare(tools)
    with loaded(plan.config) as engine:
        drawing = Drawing.prepared(engine, plan, task, tools, progress or Console(quiet=True))
        folder.start({"config.yaml": plan.config.to_yaml()}, overwrite=overwrite)
        return _raced(race, drawing, folder, order, budget, say)


def _raced(
    race: Race, drawing: Drawing, folder: Run, order: Sequence[int], budget: int | None, say: Callable[[str], None]
) -> RaceResult:
    """The race, round by round, and its result."""
    plan, task, names, rounds = drawing.plan, drawing.task, race.policies, race.rounds
    counted: dict[str, list[int]] = {name: [] for name in names}
    done = 0
    with Part(folder.path, None) as part:
        for prompts in np.array_split(np.array(order), rounds):
            before = set(race.alive)
            found = list(drawing.scored([int(p) for p in prompts], [names.index(name) for name in race.alive]))
            for sample, _ in found:
                part.write(sample)
                counted[sample.policy].append(sample.scored_tokens or 0)
            race.add(_values(race.alive, prompts, found), sum(sample.scored_tokens or 0 for sample, _ in found))
            done += len(prompts)
            say(_round_line(race, done, before))
            if budget is not None and race.tokens >= budget:
                race.stop("the budget is spent")
            if race.ended:
                break
    texts = len(order) * plan.config.samples_per_prompt
    full = round(sum(float(np.mean(tokens)) * texts for tokens in counted.values() if tokens))
    tokens_of = {name: float(np.mean(tokens)) for name, tokens in counted.items() if tokens}
    verdict = task_verdict(
        {name: race.values(name) for name in race.alive},
        measure=f"mean {next(iter(task.scorers))}",
        margin=task.margin,
        tokens=tokens_of,
    )
    result = RaceResult(race, verdict, done, full)
    folder.write("tune.json", json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return result


def _task_of(plan: Plan) -> Task:
    config = plan.config
    if config.task is None:
        raise TuneError("a race needs a `task`, which says what a text is worth; without one: --method turn")
    if len(config.policies) < 2:
        raise TuneError("a race needs at least two policies: temperature: {from: 0.1, to: 1.5, step: 0.2}")
    if len(plan.prompts) < FEWEST_A_ROUND:
        raise TuneError(f"a race needs at least {FEWEST_A_ROUND} prompts, but there are {len(plan.prompts)}")
    return config.task


def _values(names: Sequence[str], prompts: Floats, found: Sequence[tuple[Any, Outcome]]) -> dict[str, Floats]:
    """Mean score of every policy and prompt of a round."""
    rows: dict[tuple[str, int], list[Outcome]] = {}
    for sample, outcome in found:
        rows.setdefault((sample.policy, sample.prompt_id), []).append(outcome)
    return {name: np.array([mean_score(rows.get((name, int(prompt)), [])) for prompt in prompts]) for name in names}


def _round_line(race: Race, prompts: int, before: set[str]) -> str:
    gone = [
        f"{name} leaves (at least {race.left[name].at_least:.2g} below {race.left[name].leader})"
        for name in before - set(race.alive)
    ]
    leader = f"{race.leader} leads with {race.values(race.leader).mean():.3f}"
    return f"round {race.round} ({prompts} prompts): {'; '.join([leader, *sorted(gone)])}"


def grid_of(config: ExperimentConfig) -> dict[str, float]:
    """The temperature of every policy of a configuration that can have a turning point; asked before anything is drawn.

    Raises:
        TuneError: Policies other than fixed temperatures, too few of them, or no traces.
    """
    found: dict[str, float] = {}
    for named in config.policies:
        temperature = getattr(named.policy, "temperature", None)
        if named.policy.kind != "fixed" or not isinstance(temperature, float):
            raise TuneError(
                f"--method turn is for fixed temperatures, but {named.name!r} is of kind {named.policy.kind!r}"
            )
        found[named.name] = temperature
    if len(set(found.values())) < FEWEST_TEMPERATURES:
        raise TuneError(
            f"--method turn needs at least {FEWEST_TEMPERATURES} temperatures, but has {len(set(found.values()))}: "
            "temperature: {from: 0.1, to: 1.5, step: 0.1}"
        )
    if trace_options(config.traces) is None:
        raise TuneError("--method turn needs traces, which hold the entropies: `traces: true`")
    return found


def turning_point_of(run: Run, config: ExperimentConfig) -> TurningPoint:
    """The turning point of a finished run with traces, whose policies are fixed temperatures.

    Raises:
        TuneError: As `grid_of`, or the run has no traces.
        ValueError: As `turning_point`.
    """
    from temp_processors.runs.columns import table_in

    temperatures = grid_of(config)
    path = run.path / "traces.parquet"
    if not path.is_file():
        raise TuneError(f"{path}: no such file: the run has no traces, which hold the entropies")
    order = sorted(temperatures, key=lambda name: temperatures[name])
    table = table_in(path, ["policy", "prompt_id", "entropy_after"])
    prompts = sorted(set(table["prompt_id"].to_pylist()))
    sums, tokens = np.zeros((len(prompts), len(order))), np.zeros((len(prompts), len(order)))
    rows = [prompts.index(prompt) for prompt in table["prompt_id"].to_pylist()]
    columns = [order.index(name) for name in table["policy"].to_pylist()]
    np.add.at(sums, (rows, columns), table["entropy_after"].to_numpy())
    np.add.at(tokens, (rows, columns), 1.0)
    return turning_point([temperatures[name] for name in order], sums, tokens, seed=config.seed)


def compare_families_of(run: Run, config: ExperimentConfig, families: Mapping[str, Sequence[str]]) -> FamilyComparison:
    """The families of a finished run with a task; written to its `families.json`.

    Raises:
        PilotError, FamilyError: The run has no answers, or the families cannot be compared.
        RunFolderError: The file cannot be written.
    """
    scores = scores_of_run(run.path)
    means = {name: np.array([_known_mean(row) for row in rows]) for name, rows in scores.items()}
    tokens: Counter[str] = Counter()
    for sample in run.samples:
        tokens[sample.policy] += sample.scored_tokens or 0
    margin = config.task.margin if config.task is not None else MARGIN
    found = compare_families(means, families, seed=config.seed, margin=margin, tokens=tokens)
    run.write("families.json", json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return found


def _known_mean(row: Floats) -> float:
    known = row[~np.isnan(row)]
    return float(known.mean()) if len(known) else float("nan")


def turning_lines(found: TurningPoint) -> Iterator[str]:
    """The turning point in words, behind the curve it was read from."""
    for temperature, entropy, bend in zip(found.temperatures, found.entropies, found.curvature, strict=True):
        yield f"T={temperature:g}: {entropy:.3f} nats a token, ln bends {'up' if bend > 0 else 'down'} ({bend:+.2f})"
    if found.reason is not None:
        yield f"no turning point: {found.reason}"
        return
    between = "" if np.isnan(found.low) else f" ({found.low:g} to {found.high:g} over prompts)"
    uses = f"for a vote {found.for_use('vote'):g}, for the best of n {found.for_use('best'):g}"
    yield f"turning point: T={found.temperature:g}{between}; {uses}"
