"""Workers of a Ray cluster: batches go to whichever is free, a lost worker's batch to another, and a new worker is asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.launcher import LauncherSpec
from temp_processors.engines.engine import Decoded, DecodeRow, ModelError
from temp_processors.engines.model_errors import first_line
from temp_processors.engines.ray_cluster import DEFAULTS, nodes_that_hold, wrong
from temp_processors.engines.ray_worker import Ready, Worker
from temp_processors.version import __version__

TRIES = 3
"""How many workers one batch may cost, and how many may end one after the other before they are ready."""
GLANCE = 1.0
"""Seconds between two looks at the clock while workers are at work."""


class Drawn(NamedTuple):
    """A batch that came back: its position, its texts, and the error that ended it early."""

    batch: int
    texts: list[Decoded]
    error: ModelError | None


class Workers:
    """The workers of a run.

    Args:
        ray: The package, connected to a cluster.
        config: What is run, without its launcher.
        spec: Its launcher.

    `say` hears of lost workers.
    """

    def __init__(self, ray: Any, config: ExperimentConfig, spec: LauncherSpec) -> None:
        self.ray, self.config, self.spec = ray, config, spec
        options = {**DEFAULTS, **spec.options}
        try:
            self._actor = ray.remote(Worker).options(**options)
        except (TypeError, ValueError) as error:
            raise wrong("options", f"Ray does not take them: {first_line(error)}") from error
        fitting = nodes_that_hold(ray.nodes(), options, spec.autoscaling)
        self.count = spec.workers or max(1, fitting)
        self.first: Ready | None = None
        self.say: Callable[[str], None] = lambda line: None
        self._loading: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int]] = {}
        self._ended_early = 0
        for _ in range(self.count):
            self._start()

    def ready(self) -> Ready:
        """What the first worker that loads its model tells.

        Raises:
            ModelError: None can be started, or none within `wait`.
            ConfigError, PolicyError: A policy does not go with the model.
        """
        self._await_one()
        assert self.first is not None
        return self.first

    def ask(self, method: str, *arguments: Any) -> Any:
        """What one worker answers; another is asked where it is lost meanwhile."""
        while True:
            self._await_one()
            actor = self._idle[-1]
            try:
                return self.ray.get(getattr(actor, method).remote(*arguments))
            except self.ray.exceptions.RayTaskError:
                raise
            except self.ray.exceptions.RayError as error:
                self._idle.remove(actor)
                self._replace(actor, error)

    def draw(self, batches: Sequence[Sequence[DecodeRow]]) -> Iterator[Drawn]:
        """Every batch once, in the order in which they come back.

        Raises:
            ModelError: A batch costs `TRIES` workers, or none is left and none comes within `wait`.
        """
        waiting, lost = deque(range(len(batches))), [0] * len(batches)
        while waiting or self._busy:
            while waiting and self._idle:
                actor, batch = self._idle.pop(), waiting.popleft()
                self._busy[actor.draw.remote(list(batches[batch]))] = actor, batch
            if not self._busy:
                self._await_one()
                continue
            for reference in self._come_back(GLANCE):
                actor, batch = self._busy.pop(reference)
                try:
                    found = Drawn(batch, *self.ray.get(reference))
                except self.ray.exceptions.RayTaskError:
                    raise
                except self.ray.exceptions.RayError as error:
                    lost[batch] += 1
                    if lost[batch] == TRIES:
                        reason = (
                            f"launcher: {TRIES} workers were lost over these texts, the last one so: {_reason(error)}"
                        )
                        yield Drawn(batch, [], ModelError(reason))
                    waiting.appendleft(batch)
                    self.say(f"a worker was lost ({_reason(error)}): its {len(batches[batch]):,} texts are drawn again")
                    self._replace(actor, error)
                else:
                    self._idle.append(actor)
                    yield found

    def close(self) -> None:
        """End all workers."""
        working = [actor for actor, _ in self._busy.values()]
        for actor in [*self._loading.values(), *self._idle, *working]:
            self.ray.kill(actor)
        self._loading, self._idle, self._busy = {}, [], {}

    def _start(self) -> None:
        actor = self._actor.remote(self.config)
        self._loading[actor.load.remote()] = actor

    def _replace(self, actor: Any, error: BaseException) -> None:
        """Ask for another worker; the old one may live on where only the network failed."""
        self.ray.kill(actor)
        self._start()

    def _await_one(self) -> None:
        """Return when a worker is idle."""
        end = time.monotonic() + self.spec.wait
        while not self._idle:
            self._come_back(GLANCE)
            if time.monotonic() > end and not self._idle:
                raise ModelError(
                    f"launcher: no worker was ready within {self.spec.wait:g} s (`launcher.wait`): the cluster has no room, or "
                    f"its model takes longer to load; `ray status` shows what is asked for and what is there"
                )

    def _come_back(self, seconds: float) -> list[Any]:
        """Wait for any worker, take in those that have loaded, and return what of the batches has come back."""
        there, _ = self.ray.wait([*self._loading, *self._busy], num_returns=1, timeout=seconds)
        for reference in there:
            if reference in self._loading:
                self._take_in(reference)
        return [reference for reference in there if reference in self._busy]

    def _take_in(self, reference: Any) -> None:
        """A worker that has loaded its model, or says why it cannot."""
        actor = self._loading.pop(reference)
        try:
            answer = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError:
            raise
        except self.ray.exceptions.RayError as error:
            self._ended_early += 1
            if self._ended_early == TRIES:
                line = (
                    f"launcher: {TRIES} workers ended before their model was loaded, the last one so: {_reason(error)}"
                )
                raise ModelError(line) from error
            self._replace(actor, error)
            return
        if not isinstance(answer, Ready):
            self.ray.kill(actor)
            raise answer
        self._check(answer)
        self._ended_early = 0
        self._idle.append(actor)

    def _check(self, ready: Ready) -> None:
        """Raise `ModelError` where a worker's model or versions are not those of the others, or its package is not this one."""
        if ready.versions["temp_processors"] != __version__:
            theirs = ready.versions["temp_processors"]
            raise ModelError(
                f"launcher: {ready.node} has temp_processors {theirs}, this process {__version__}: install the same"
            )
        self.first = first = self.first or ready
        for what, own, other in (
            ("versions", ready.versions, first.versions),
            ("model", ready.described, first.described),
        ):
            if own != other:
                differ = sorted(name for name in own.keys() | other.keys() if own.get(name) != other.get(name))
                here, there = ({name: side.get(name) for name in differ} for side in (own, other))
                raise ModelError(
                    f"launcher: the {what} of the workers differ: {ready.node} has {here}, {first.node} {there}; "
                    "one run is drawn by one model and one set of versions"
                )


def _reason(error: BaseException) -> str:
    """One line of what Ray says; of a worker that could not be made, the last, which names the error."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "Traceback" in str(error) or "creation" in lines[0] else lines[0]
