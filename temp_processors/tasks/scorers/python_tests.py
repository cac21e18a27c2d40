"""Run the program that a text holds against the tests of its row, as pass@k for code was made for.

A program runs in a process of its own: `python -I` in an empty folder, with an empty environment, limits on time, memory and file sizes,
and without a network where the system lets a user make a network namespace (`unshare -rn`). What that is not: a sandbox. The
program can read what this user can read and write where this user can write. Run what you do not trust in a container or a virtual machine.

A program passes when it comes to its end without an error: a line after the tests writes a secret, so that `sys.exit(0)` is no pass.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError, Tools, filled

LARGEST_FILE = 10_000_000
"""Bytes of a file that a program may write, its output included."""
LIMITED = """
import os, resource, sys
seconds, memory, file, program = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
for what, limit in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(what, (limit, limit))
os.execv(sys.executable, [sys.executable, "-I", "-B", program])
"""


class PythonTests(Scorer):
    """Whether a program passes the tests of its row.

    Args:
        tests: Column of the tests: Python that raises where the program is wrong.
        program: What is run: `{answer}` is the program that the text gives, `{tests}` the tests, other names are columns. For HumanEval:
            `"{prompt}{answer}\\n{tests}\\ncheck({entry_point})"`.
        seconds: Longest run; a program that takes longer is wrong.
        megabytes: Most memory of its process.
    """

    needs_reference: ClassVar[bool] = False
    kind: Literal["python_tests"] = "python_tests"
    tests: Annotated[str, Field(min_length=1)]
    program: Annotated[str, Field(pattern=r"\{answer\}")] = "{answer}\n\n{tests}\n"
    seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    megabytes: Annotated[int, Field(ge=64, le=65_536)] = 1024

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of the tests."""
        return (self.tests,)

    def prepare(self, tools: Tools) -> None:
        """Refuse unless the user allowed it."""
        if not tools.allow_code_execution:
            raise ScorerError(
                "python_tests runs programs that a model wrote on this machine: allow it with --allow-code-execution "
                "(run_experiment(..., allow_code_execution=True)), in a container if you do not trust them"
            )

    def notes(self) -> list[str]:
        """What keeps a program apart, and what does not."""
        network = (
            "without a network"
            if _without_network()
            else "WITH the network (this system makes no network namespace for a user)"
        )
        return [
            f"{self.heading}: runs each program in an empty folder, {self.seconds:g} s, {self.megabytes} MB, {network}; "
            "it can still read and write what you can"
        ]

    def score(self, item: Item) -> Mark:
        """1.0, or 0.0 with the last line of the error."""
        values = {**item.row, "answer": item.answer, "tests": item.row[self.tests]}
        return passes(filled(self.program, values), self.seconds, self.megabytes)

    def score_all(self, items: Sequence[Item], tools: Tools) -> Iterator[Mark]:
        """The marks of many, as many at once as there are processors."""
        self.prepare(tools)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            yield from pool.map(self.score, items)


def passes(program: str, seconds: float = 10.0, megabytes: int = 1024) -> Mark:
    """Run a program in a process of its own: 1.0 where it comes to its end, else 0.0 and why.

    Args:
        program: Its text.
        seconds: Longest run, in processor time and by the clock.
        megabytes: Most memory, as address space.

    Example:
        >>> passes("assert 1 + 1 == 2"), passes("assert 1 + 1 == 3, 'no'")
        (Mark(value=1.0, reason=None), Mark(value=0.0, reason='AssertionError: no'))
    """
    secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="program-") as outside:
        folder, said, wrong = Path(outside, "empty"), Path(outside, "said"), Path(outside, "wrong")
        folder.mkdir()
        file = Path(outside, "program.py")
        file.write_text(f"{program}\n\nprint()\nprint({secret!r})\n", encoding="utf-8", errors="surrogatepass")
        limits = [str(int(seconds) + 1), str(megabytes * 1_000_000), str(LARGEST_FILE), str(file)]
        command = [*_without_network(), sys.executable, "-I", "-c", LIMITED, *limits]
        with said.open("wb") as out, wrong.open("wb") as err:
            ended = _ended(command, folder, out, err, seconds)
        if ended is None:
            return Mark(0.0, f"took more than {seconds:g} s")
        if ended == 0 and said.read_bytes()[-200:].rstrip().endswith(secret.encode()):
            return Mark(1.0)
        return Mark(0.0, _why(ended, wrong.read_bytes()[-4000:]))


def _ended(command: Sequence[str], folder: Path, out: object, err: object, seconds: float) -> int | None:
    """The exit code, or None after the time; what the program started ends with it."""
    running = subprocess.Popen(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, stdin=subprocess.DEVNULL,
        stdout=out, stderr=err, start_new_session=True,
    )  # type: ignore[call-overload]  # fmt: skip
    try:
        return int(running.wait(timeout=seconds + 0.5))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _why(code: int, error: bytes) -> str:
    lines = error.decode("utf-8", "replace").strip().splitlines()
    if code == -signal.SIGXCPU:
        return "took too much processor time"
    if code and lines:
        return lines[-1][:300]
    return f"ended with code {code} before the tests were over"


@cache
def _without_network() -> tuple[str, ...]:
    """The command that runs another without a network; empty where the system has none for this user."""
    command = ("unshare", "-r", "-n")
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ()
    return command if done.returncode == 0 else ()
