"""Where the time of a whole run goes: imports, the model, generation, scoring, traces, page, and what is left.

python scripts/benchmark_run.py
python scripts/benchmark_run.py configs/smollm2.yaml --repeat 1
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import typer

FLOOR = "import torch; from transformers import AutoModelForCausalLM, AutoTokenizer"
IMPORTS = """
from temp_processors.cli.collector import collect_rarely, keep_what_is_imported
collect_rarely()
import temp_processors.cli
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.run import run_experiment
keep_what_is_imported()
"""
"""What the command imports before it loads a model, as it does that: transformers' model code, and this package."""
STAGE = re.compile(r"^(model|scoring|traces|page|pictures): ([\d.]+) s$", re.MULTILINE)
RATE = re.compile(r"([\d,]+) tokens in .*?, ([\d,]+) tokens/s")


def seconds(command: list[str]) -> tuple[float, str]:
    """How long a command takes, and what it says on stderr."""
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, done.stderr


def stages(config: str, folder: Path) -> dict[str, float]:
    """Seconds of one run by stage.

    `imports` is the floor, torch and transformers alone; `further imports` what the command imports beyond it, `rest` what no stage tells.
    """
    imports, _ = seconds([sys.executable, "-c", FLOOR])
    every, _ = seconds([sys.executable, "-c", IMPORTS])
    whole, said = seconds([sys.executable, "-m", "temp_processors", "run", config, "--overwrite", "--out", str(folder)])
    rate = RATE.search(said)
    assert rate is not None, said
    tokens, speed = (float(number.replace(",", "")) for number in rate.groups())
    told = {name: float(number) for name, number in STAGE.findall(said)}
    found = {"imports": imports, "further imports": every - imports, "model": told.pop("model")}
    found |= {"generation": tokens / speed, **told}
    return {**found, "rest": whole - sum(found.values()), "whole": whole}


def main(config: str = "fox", repeat: int = 3) -> None:
    """Print the medians of some runs as a table, and the whole over generation and imports."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [stages(config, Path(folder) / "run") for _ in range(repeat)]
    found = {name: median(run[name] for run in runs) for name in runs[0]}
    print("| stage | seconds | share |\n|---|---:|---:|")
    for name, value in found.items():
        print(f"| {name} | {value:.1f} | {value / found['whole']:.0%} |")
    print(f"\nwhole / (generation + imports): {found['whole'] / (found['generation'] + found['imports']):.2f}")


if __name__ == "__main__":
    typer.run(main)
