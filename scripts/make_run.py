"""Write a complete run folder of any number of samples without drawing them: for trying what reads a run on a large one.

    temp-processors run configs/fox.yaml --out runs/fox
    python scripts/make_run.py runs/fox 10000 runs/large

makes `runs/large` of 10,000 samples per prompt and policy. Settings, texts and results are those of the first run, whose texts of a
prompt and policy come again and again under the seeds of the larger plan; files, checksums and `DONE` are written by the code that
writes those of a run, so that `report` and `run --resume` take the folder as one. Scores and traces are those of the first run.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import typer

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.experiment.plan import Plan
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Sample
from temp_processors.runs.writing import Part, write_parquet

BEGUN = ("environment.json", "stack.json")
"""What a run writes besides its settings before it draws."""
COPIED = ("metrics.json", "comparison.csv", "traces.parquet")
"""Results of the first run, as they are."""


def make_run(template: Path, samples: int, out: Path) -> Run:
    """The run in `template` as if it had drawn `samples` texts of every prompt and policy, written to `out`.

    Raises:
        RunFolderError: `template` holds no complete run, or `out` holds one already.
    """
    source = Run.load(template)
    config = load_config(template / "config.yaml", [f"samples_per_prompt={samples}"], out=out)
    run = Run(out)
    run.start({"config.yaml": config.to_yaml(), **{name: (template / name).read_text("utf-8") for name in BEGUN}})
    _write_samples(source, config, out)
    write_parquet(out / "samples.jsonl", out / "samples.parquet", [named.name for named in config.policies])
    for name in COPIED:
        if (template / name).exists():
            shutil.copyfile(template / name, out / name)
    run.finish()
    return run


def _write_samples(source: Run, config: ExperimentConfig, out: Path) -> None:
    """Every job of the plan with a text that the source drew of its prompt and policy."""
    held: dict[tuple[str, int], list[Sample]] = {}
    for sample in source.samples:
        held.setdefault((sample.policy, sample.prompt_id), []).append(sample)
    with Part(out, None) as part:
        for job in Plan(config).jobs():
            texts = held[config.policies[job.policy].name, job.prompt_id]
            text = texts[job.sample_id % len(texts)]
            part.write(replace(text, sample_id=job.sample_id, seed=job.seed))


def main(template: Path, samples: int, out: Path) -> None:
    """Write the folder and say how large it is."""
    run = make_run(template, samples, out)
    print(f"{run.path}: {(run.path / 'samples.jsonl').stat().st_size / 2**20:,.0f} MB of samples")


if __name__ == "__main__":
    typer.run(main)
