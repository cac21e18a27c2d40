"""Run an experiment from a YAML file: the same function as `temp-processors run`.

python scripts/run_experiment.py configs/fox.yaml
python scripts/run_experiment.py configs/fox.yaml --set samples_per_prompt=8 --out runs/small
"""

import typer

from temp_processors.cli.run import run_command

if __name__ == "__main__":
    typer.run(run_command)
