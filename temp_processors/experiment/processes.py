"""One run in several processes: `torchrun --nproc_per_node 2 -m temp_processors run CONFIG`, machines included.

`accelerate launch --cpu --num_processes 2` starts one process; `torchrun` starts two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
PATIENCE = timedelta(days=7)  # how long the first process to finish waits for the last


@dataclass(frozen=True)
class Processes:
    """Which of the processes this is.

    Args:
        rank: Position of this process, 0 first. Process 0 gathers, scores and prints.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> Processes:
        """The processes that a launcher started (environment variables RANK and WORLD_SIZE), else this one alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
        return cls(state.process_index, state.num_processes)

    @property
    def first(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def share(self, batches: Sequence[Item]) -> Iterator[Item]:
        """Batches rank, rank + count, ...: the same ones in every run."""
        return iter(batches[self.rank :: self.count])

    def from_first(self, value: Any) -> Any:
        """What process 0 passes here; the others wait for it. An exception that process 0 passes is raised by all."""
        if self.count > 1:
            box = [value]
            torch.distributed.broadcast_object_list(box, src=0)
            value = box[0]
        if isinstance(value, BaseException):
            raise value
        return value

    def gather(self, items: list[Item]) -> list[Item]:
        """The items of all processes, in the order of the processes; waits for all of them."""
        if self.count == 1:
            return items
        boxes: list[list[Item]] = [[] for _ in range(self.count)]
        torch.distributed.all_gather_object(boxes, items)
        return [item for box in boxes for item in box]

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            torch.distributed.barrier()
