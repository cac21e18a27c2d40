"""How cost grows: time, memory and exponent of every number that a user may raise, in a process of its own for each size.

python scripts/benchmark_scaling.py
python scripts/benchmark_scaling.py --only texts --largest 1000000
python scripts/benchmark_scaling.py --only policies --only prompts --only samples --only tokens --largest 1000

`policies`, `prompts`, `samples` and `tokens` (new tokens) are runs of the shipped model, `texts` is `score` of a file of ten groups,
`report` and `resume` are the page and a second start of a run folder of so many samples in ten policies. Times are those of one command
in a process of its own: on the wall, and of the processor (all threads), which a busy machine moves less and which exponents are of.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml

SIZES: dict[str, tuple[int, ...]] = {
    "policies": (1, 3, 10, 30, 100),
    "prompts": (1, 10, 100, 1_000, 10_000),
    "samples": (1, 10, 100, 1_000, 10_000),
    "tokens": (16, 64, 256, 1_024, 4_096),
    "texts": (1_000, 10_000, 100_000, 1_000_000),
    "report": (1_000, 10_000, 100_000, 1_000_000),
    "resume": (1_000, 10_000, 100_000, 1_000_000),
}
"""The sizes of each task; those above `--largest` are left out."""
GROUPS = 10


def write_texts(path: Path, count: int, seed: int = 0) -> None:
    """Texts of 20 to 80 words by Zipf's law in `GROUPS` groups, with prompts of 200 samples."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = np.minimum(rng.zipf(1.3, size=int(rng.integers(20, 81))), 20_000)
            prompt, sample = divmod(number // GROUPS, 200)
            row = {
                "policy": f"p{number % GROUPS}",
                "prompt_id": prompt,
                "sample_id": sample,
                "text": " ".join(f"w{word}" for word in words),
            }
            file.write(json.dumps(row) + "\n")


def write_experiment(path: Path, *, policies: int = 2, prompts: int = 1, samples: int = 10, tokens: int = 16) -> None:
    """A configuration of the shipped model."""
    held = {
        "name": "scaling",
        "model": "fox",
        "prompts": [f"The fox met hen number {number} and" for number in range(prompts)],
        "policies": [
            {"name": f"t{number}", "kind": "fixed", "temperature": round(0.5 + number / 100, 2)}
            for number in range(policies)
        ],
        "samples_per_prompt": samples,
        "max_new_tokens": tokens,
    }
    path.write_text(yaml.safe_dump(held), encoding="utf-8")


def prepared(task: str, size: int, folder: Path) -> list[str]:
    """What is written before the clock runs, and the command line that is timed."""
    texts, experiment, out = folder / "texts.jsonl", folder / "experiment.yaml", folder / "out"
    if task == "texts":
        write_texts(texts, size)
        return ["score", str(texts), "--group-by", "policy", "--out", str(out)]
    if task in ("report", "resume"):
        write_experiment(experiment, policies=GROUPS, samples=max(1, size // GROUPS))
        measured(["run", str(experiment), "--out", str(out)])
        return ["report", str(out)] if task == "report" else ["run", str(experiment), "--out", str(out), "--resume"]
    write_experiment(experiment, **{task: size})
    return ["run", str(experiment), "--out", str(out)]


def processor() -> float:
    """Seconds of the processor of this process and of those that it started and that ended."""
    return sum(os.times()[:4])


def work(arguments: list[str]) -> None:
    """One command of ours in this process; prints its seconds and its peak memory as JSON."""
    from temp_processors.cli.app import app

    began = time.perf_counter(), processor()
    with contextlib.redirect_stdout(sys.stderr):
        app(arguments, standalone_mode=False)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    seconds, used = time.perf_counter() - began[0], processor() - began[1]
    print(json.dumps({"seconds": seconds, "processor": used, "megabytes": peak}))


def measured(arguments: list[str]) -> dict[str, float]:
    """`work` in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--command", json.dumps(arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def exponent(sizes: list[int], seconds: list[float]) -> str:
    """log of the last two times' ratio over log of their sizes' ratio, `-` for a single one."""
    if len(sizes) < 2:
        return "-"
    return f"{np.log(seconds[-1] / seconds[-2]) / np.log(sizes[-1] / sizes[-2]):.2f}"


def rows(task: str, largest: int) -> Iterator[str]:
    """The lines of one task, with the exponent between each size and the one before it."""
    sizes: list[int] = []
    seconds: list[float] = []
    for size in (size for size in SIZES[task] if size <= largest):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            found = measured(prepared(task, size, folder))
            pages = [page.stat().st_size / 2**20 for page in folder.rglob("*.html")]
        sizes.append(size)
        seconds.append(found["processor"])
        page = f"{max(pages):.1f}" if pages else "-"
        times = f"{found['seconds']:.1f} | {found['processor']:.1f}"
        yield f"| {task} | {size:,} | {times} | {found['megabytes']:,.0f} | {page} | {exponent(sizes, seconds)} |"


def main(
    only: Annotated[list[str] | None, typer.Option(help="Tasks; all by default.")] = None,
    largest: Annotated[int, typer.Option(help="Largest size of any task.")] = 1_000,
    command: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print the table as Markdown."""
    if command:
        work(json.loads(command))
        return
    print("| task | size | s | processor, s | MB at most | page, MB | exponent |\n|---|--:|--:|--:|--:|--:|--:|")
    for task in only or SIZES:
        for line in rows(task, largest):
            print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
