"""One run in several processes: `torchrun --nproc_per_node 2 -m temp_processors run CONFIG`, machines included.

`accelerate launch --cpu --num_processes 2` starts one process; `torchrun` starts two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
HOW = "start it by torchrun: `torchrun --nproc_per_node 2 -m temp_processors run CONFIG` on one machine"
PATIENCE = timedelta(days=7)  # how long the first process to finish waits for the last


class LaunchError(ValueError):
    """The processes of a run were not started in a way that lets them share it; the message says what would do."""


def refuse_slurm_alone() -> None:
    """Raise `LaunchError` where SLURM started this command several times, so that each process would write the whole run.

    A batch script has SLURM's variables too, but is one process: `srun` alone sets SLURM_STEP_NUM_TASKS, and a rank other than 0.
    """
    if "WORLD_SIZE" in os.environ:
        return
    tasks = _count("SLURM_STEP_NUM_TASKS", 1)
    if tasks < 2 and _count("SLURM_PROCID", 0) > 0:
        tasks = max(_count("SLURM_NTASKS", 1), _count("SLURM_NPROCS", 1), 2)
    if tasks > 1:
        raise LaunchError(
            f"SLURM started this command {tasks} times, and each would write the whole run: let one task a node start torchrun, "
            "`srun --ntasks-per-node=1 torchrun --nnodes $SLURM_NNODES --nproc_per_node PROCESSES --rdzv_backend c10d "
            "--rdzv_endpoint FIRST_NODE:29500 -m temp_processors run CONFIG`, or ask for one task"
        )


def _count(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    try:
        return int(text)
    except ValueError as error:
        raise LaunchError(
            f"the environment variable {name} has to be a whole number, but is {text!r}: {HOW}"
        ) from error


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
        """The processes that a launcher started (environment variables RANK and WORLD_SIZE), else this one alone.

        Raises:
            LaunchError: A launcher started several without saying how they find each other.
        """
        refuse_slurm_alone()
        if _count("WORLD_SIZE", 1) < 2:
            return cls()
        missing = [name for name in NEEDED if not os.environ.get(name)]
        if missing:
            raise LaunchError(f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(missing)} is not set: {HOW}")
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

    def gather_or_raise(self, work: Callable[[], list[Item]], *errors: type[Exception]) -> list[Item]:
        """What `work` returns in every process, in their order; the first of these errors in any of them is raised by all.

        A process that fails waits here for the others, so that each writes what it finished.
        """
        try:
            own: list[Any] = [(work(), None)]
        except errors as error:
            if self.count == 1:
                raise
            own = [([], error)]
        outcomes = self.gather(own)
        for _, failure in outcomes:
            if failure is not None:
                raise failure
        return [item for items, _ in outcomes for item in items]

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
