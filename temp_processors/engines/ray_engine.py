"""Draw with the engines that workers of a Ray cluster hold: `launcher: ray`. This process needs neither weights nor an accelerator."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.launcher import launcher_spec
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, ModelError, Rows, ignore, silent
from temp_processors.engines.ray_cluster import connected
from temp_processors.engines.ray_worker import Ready
from temp_processors.engines.ray_workers import Workers

if TYPE_CHECKING:
    from torch import Tensor

    from temp_processors.policies.base import PolicyLogitsWarper
    from temp_processors.trace.table import TokenTrace

PORTION = 1024
"""Most rows that a worker gets at once where rows are independent."""
PORTIONS = 4
"""Portions for each worker, at least: the last ones end near each other."""


@dataclass(frozen=True)
class RayEngine:
    """The workers of a run, behind the protocol of an engine.

    Args:
        workers: That draw.
        first: What the first of them told.
        held: The connection to the cluster.
    """

    workers: Workers
    first: Ready
    held: ExitStack

    @classmethod
    def load(cls, config: ExperimentConfig) -> RayEngine:
        """Connect to the cluster, start the workers, and wait for the first to load its model.

        Raises:
            ConfigError: Nobody answers at the address, or no node can hold a worker.
            ModelError: Ray is not installed, or a worker cannot load the model.
        """
        assert config.launcher is not None
        spec = launcher_spec(config.launcher)
        with ExitStack() as held:
            ray = held.enter_context(connected(spec))
            workers = Workers(ray, config.model_copy(update={"launcher": None}), spec)
            held.callback(workers.close)
            return cls(workers, workers.ready(), held.pop_all())

    def close(self) -> None:
        """End the workers and the connection."""
        self.held.close()

    @cached_property
    def _checkpoint(self) -> tuple[Any, Any, Any]:
        try:
            tokenizer, model_config, generation_config = pickle.loads(self.first.checkpoint)
        except (AttributeError, ImportError) as error:
            raise ModelError(
                f"launcher: tokenizer or configuration of the model are Python code that only the workers have ({error}): "
                "run it without a launcher"
            ) from error
        return tokenizer, model_config, generation_config

    @property
    def tokenizer(self) -> Any:
        """That of the workers."""
        return self._checkpoint[0]

    @property
    def model_config(self) -> Any:
        """That of the workers."""
        return self._checkpoint[1]

    @property
    def generation_config(self) -> Any:
        """That of the workers."""
        return self._checkpoint[2]

    @property
    def independent_rows(self) -> bool:
        """As the engine of the workers says."""
        return self.first.independent_rows

    def prepare(self, config: ExperimentConfig) -> list[int]:
        """Positions of the policies: every worker has prepared its own."""
        config.check_tokenizer(self.tokenizer)
        return list(range(len(config.policies)))

    def draw(self, rows: Sequence[DecodeRow], policies: Sequence[int], options: DrawOptions) -> Iterator[Decoded]:
        """Continue every row, all as one batch where they are not independent. The options are those of the configuration."""
        batches = [range(len(rows))] if not self.independent_rows else self.portions(range(len(rows)))
        begun = [0]
        drawn = self.draw_batches(
            [[rows[row] for row in batch] for batch in batches], policies, options, begin=begun.append
        )
        for text in drawn:
            options.on_tokens(text.steps)
            yield text._replace(row=batches[begun[-1]][text.row])

    def draw_batches(
        self,
        batches: Sequence[Sequence[DecodeRow]],
        policies: Sequence[int],
        options: DrawOptions,
        *,
        begin: Callable[[int], None] = ignore,
        say: Callable[[str], None] = silent,
    ) -> Iterator[Decoded]:
        """Every batch, as the workers finish them; `say` hears of lost ones. Policies and options are those of the configuration.

        Raises:
            ModelError: No worker is left, or that of a batch.
        """
        self.workers.say = say
        for found in self.workers.draw(batches):
            begin(found.batch)
            yield from found.texts
            if found.error is not None:
                raise found.error

    def portions(self, rows: Rows) -> list[Rows]:
        """Independent rows as batches for the workers: slices of `rows`."""
        size = max(1, min(PORTION, len(rows) // (PORTIONS * self.workers.count)))
        return [cast("Rows", rows[start : start + size]) for start in range(0, len(rows), size)]

    def describe(self) -> dict[str, Any]:
        """As the engine of the workers; all of them agree."""
        return self.first.described

    def sampler_stack(self, config: ExperimentConfig, policies: Sequence[int]) -> dict[str, Any]:
        """As the engine of the workers says, asked once."""
        stack: dict[str, Any] = self.workers.ask("sampler_stack")
        return stack

    def why_not_traced(self) -> str | None:
        """As the engine of the workers says."""
        return self.first.why_not_traced

    def trace(self, ids: Tensor, policy: PolicyLogitsWarper, prompt_length: int, *, top_k: int) -> TokenTrace:
        """What `policy` did at every token, from a worker's forward pass."""
        if (reason := self.why_not_traced()) is not None:
            raise ModelError(f"model: {reason}")
        trace: TokenTrace = self.workers.ask("trace", ids, policy, prompt_length, top_k)
        return trace
