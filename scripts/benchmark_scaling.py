"""How cost grows: time, memory and exponent of every number that a user may raise, in a process of its own for each size.

    python scripts/benchmark_scaling.py
    python scripts/benchmark_scaling.py --only texts --only report --largest 1000000
    python scripts/benchmark_scaling.py --largest 1000000 --most-seconds 180 --results scaling.jsonl --chart scaling.svg

`policies`, `prompts`, `samples` are runs of the shipped model, `tokens` (new tokens) runs of a random Llama of its size that has room for
them and never ends a text. `texts` is `score` of a file of ten groups, `report` and `resume` are the page and a second start of a run
folder of so many samples in ten policies x ten prompts, which `make_run.py` writes. Times are those of one command in a process of its own:
on the wall, and of the processor (all threads), which a busy machine moves less.

The exponent is of what is added beyond the smallest size n0, whose time t0 holds all that is fixed: between two sizes a < b it is
log((tb - t0) / (ta - t0)) / log((b - n0) / (a - n0)): 1 where every unit costs the same whatever t0 is, slightly below 2 where cost is
quadratic. There is none (`-`) where the smaller size has not added a fifth of t0 or of a second: that is noise.
"""

from __future__ import annotations

import contextlib
import json
import math
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
from make_run import make_run

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
NOISE = 0.2
"""Share of the time of the smallest size, or of a second, that a size has to add before its exponent says anything."""
GROUPS = 10
SMALL = {"prompts": {"samples": 2}, "tokens": {"samples": 4}}
"""What else a run of a task has; by default 2 policies x 1 prompt x 10 samples of 16 tokens."""
Point = dict[str, float]
"""`size`, `seconds` on the wall, `processor` seconds, `megabytes` at most, and `page` in megabytes, 0 where there is none."""


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


def write_experiment(
    path: Path, model: str = "fox", *, policies: int = 2, prompts: int = 1, samples: int = 10, tokens: int = 16
) -> None:
    """A configuration that draws nothing in common between prompts."""
    held = {
        "name": "scaling",
        "model": model,
        "prompts": [f"The fox met hen number {number} and" for number in range(prompts)],
        "policies": [
            {"name": f"t{number}", "kind": "fixed", "temperature": round(0.5 + number / 100, 2)}
            for number in range(policies)
        ],
        "samples_per_prompt": samples,
        "max_new_tokens": tokens,
    }
    path.write_text(yaml.safe_dump(held), encoding="utf-8")


def write_model(folder: Path, places: int) -> None:
    """A random Llama of the shape of the shipped model for texts of `places` tokens, with its tokenizer, which ends no text."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig, LlamaForCausalLM

    from temp_processors.fox import FOX_PATH

    torch.manual_seed(0)
    shape = AutoConfig.from_pretrained(FOX_PATH, max_position_embeddings=places, eos_token_id=None)
    model = LlamaForCausalLM(shape)
    model.generation_config = GenerationConfig()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(FOX_PATH, eos_token=None).save_pretrained(folder)


def prepared(task: str, size: int, folder: Path) -> list[str]:
    """What is written before the clock runs, and the command line that is timed."""
    texts, experiment, out = folder / "texts.jsonl", folder / "experiment.yaml", folder / "out"
    if task == "texts":
        write_texts(texts, size)
        return ["score", str(texts), "--group-by", "policy", "--out", str(out)]
    if task in ("report", "resume"):
        write_experiment(experiment, policies=GROUPS, prompts=GROUPS)
        measured(["run", str(experiment), "--out", str(folder / "template"), "--no-report"])
        make_run(folder / "template", max(1, size // GROUPS**2), out)
        return (
            ["report", str(out)]
            if task == "report"
            else ["run", str(out / "config.yaml"), "--out", str(out), "--resume"]
        )
    model = "fox"
    if task == "tokens":
        model = str(folder / "model")
        write_model(folder / "model", 2 * max(SIZES["tokens"]))
    write_experiment(experiment, model, **{**SMALL.get(task, {}), task: size})
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


def measured(arguments: list[str]) -> Point:
    """`work` in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--command", json.dumps(arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr[-2000:]}")
    found: Point = json.loads(done.stdout.splitlines()[-1])
    return found


def point(task: str, size: int) -> Point:
    """One size of a task."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = measured(prepared(task, size, folder))
        pages = [page.stat().st_size / 1e6 for page in folder.rglob("out/report.html")]
    return {"size": size, **found, "page": max(pages, default=0.0)}


def points(task: str, largest: int, most: float, results: Path | None) -> Iterator[Point]:
    """Every size of a task up to `largest` and to the first that takes more than `most` seconds; those in `results` are kept."""
    known = {held["size"]: held for held in kept(results).get(task, [])}
    for size in (size for size in SIZES[task] if size <= largest):
        found = known.get(size) or point(task, size)
        if results is not None and size not in known:
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"task": task, **found}) + "\n")
        yield found
        if found["seconds"] > most:
            return


def kept(results: Path | None) -> dict[str, list[Point]]:
    """The points of a file of results by task, sizes in order."""
    if results is None or not results.exists():
        return {}
    found: dict[str, list[Point]] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row.pop("task"), []).append(row)
    return {task: sorted(rows, key=lambda row: row["size"]) for task, rows in found.items()}


def exponent(first: Point, before: Point, now: Point) -> float | None:
    """The exponent between two sizes of what they add to the first, see above; None where the smaller adds too little to tell."""
    added = [side["processor"] - first["processor"] for side in (before, now)]
    if before["size"] == first["size"] or added[0] < NOISE * max(1.0, first["processor"]):
        return None
    growth = (now["size"] - first["size"]) / (before["size"] - first["size"])
    return math.log(max(added[1], 1e-9) / added[0]) / math.log(growth)


def line(task: str, found: list[Point]) -> str:
    """The last of some points as a line of the table."""
    now = found[-1]
    power = exponent(found[0], found[-2], now) if len(found) > 1 else None
    shown = [f"{now['size']:,.0f}", f"{now['seconds']:.1f}", f"{now['processor']:.1f}", f"{now['megabytes']:,.0f}"]
    shown += [f"{now['page']:.1f}" if now["page"] else "-", "-" if power is None else f"{power:.2f}"]
    return f"| {task} | {' | '.join(shown)} |"


def draw(found: dict[str, list[Point]], file: Path) -> None:
    """Processor seconds by size, both on logarithmic axes, a line a task, beside the slope of an exponent of 1; SVG or PNG by its name."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "scaling"
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for (task, rows), mark in zip(found.items(), "osD^vP*", strict=False):
        axes.loglog([r["size"] for r in rows], [r["processor"] for r in rows], marker=mark, markersize=4, label=task)
    least, most = axes.get_ylim()
    sizes = np.array(axes.get_xlim())
    for start in 10.0 ** np.arange(-6, 3):
        axes.loglog(sizes, start * sizes, color="0.85", linewidth=0.7, zorder=0)
    axes.set(xlabel="size", ylabel="seconds of the processor", xlim=sizes, ylim=(least, most))
    axes.set_title("How cost grows; grey: exponent 1", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=100)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Tasks; all by default.")] = None,
    largest: Annotated[int, typer.Option(help="Largest size of any task.")] = 1_000,
    most_seconds: Annotated[float, typer.Option(help="A task ends at the first size that takes longer.")] = math.inf,
    results: Annotated[Path | None, typer.Option(help="JSONL of points, to go on with.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Picture of all points, .svg or .png.")] = None,
    command: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print the table as Markdown."""
    if command:
        work(json.loads(command))
        return
    if unknown := set(only or ()) - set(SIZES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(SIZES)}", param_hint="--only")
    print("| task | size | s | processor, s | MB at most | page, MB | exponent |\n|---|--:|--:|--:|--:|--:|--:|")
    found: dict[str, list[Point]] = {}
    for task in only or SIZES:
        for now in points(task, largest, most_seconds, results):
            found.setdefault(task, []).append(now)
            print(line(task, found[task]), flush=True)
    if chart is not None:
        draw(found, chart)


if __name__ == "__main__":
    typer.run(main)
