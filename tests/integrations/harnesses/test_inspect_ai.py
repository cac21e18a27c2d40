"""inspect_ai on twenty questions: `--model temp_processors/MODEL` gives the texts of `generate`, and we score its logs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.local import LocalEngine
from tests.integrations.harnesses.questions_task import DYNAMIC, LENGTH, questions, text_of_generate
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.harnesses, pytest.mark.filterwarnings("default")]
pytest.importorskip("inspect_ai", reason="inspect_ai is not in this environment: scripts/setup_harnesses.sh makes one")

TASK = """
import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

ROWS = [json.loads(line) for line in Path(r"FILE").read_text().splitlines()]


@task
def twenty_questions():
    samples = [Sample(input=f"Q: {row['question']}\\nA:", target=row["answer"]) for row in ROWS]
    return Task(dataset=samples, scorer=includes())
"""


def inspect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    data = ROOT / "tests" / "integrations" / "harnesses" / "data" / "questions.jsonl"
    (folder / "task.py").write_text(TASK.replace("FILE", str(data)))
    command = [str(Path(sys.executable).with_name("inspect")), "eval", "task.py", "--display", "plain"]
    logs = ["--log-dir", str(folder / "logs"), "--max-tokens", str(LENGTH), "--seed", "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *logs, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )


@pytest.mark.parametrize("name", ["fox", "smollm2"])
def test_the_texts_are_those_of_generate(tmp_path: Path, name: str) -> None:
    from temp_processors.comparison.task_sources import score_sources_on
    from temp_processors.tasks.task import Task

    policy = "{kind: dynamic, temperature: 1.0, range: 0.5}"
    done = inspect(tmp_path, "--model", f"temp_processors/{name}", "-M", f"policy={policy}", "-M", "chat=false")
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = (tmp_path / "logs").glob("*.eval")
    from inspect_ai.log import read_eval_log

    held = read_eval_log(str(log))
    assert held.status == "success"
    found = {sample.id: sample.output.completion for sample in held.samples or ()}
    engine = LocalEngine.of(ModelSpec(name=name))
    prompts = [f"Q: {row['question']}\nA:" for row in questions()]
    wanted = [text_of_generate(engine.model, engine.tokenizer, prompt, DYNAMIC, 5) for prompt in prompts]
    assert [found[number] for number in range(1, 21)] == wanted
    task = Task.model_validate({"answer": "first_line", "reference": "target", "score": "one_of"})
    scored = score_sources_on(task, [str(log)]).scores.tables()
    assert [len(table) for table in scored.values()] == [20]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "has to name a policy"),
        (["-M", "policy={kind: fixt, temperature: 1}"], "fixt"),
        (["-M", "policy={kind: fixed, temperature: 1}", "--temperature", "0.5"], "would multiply with the policy"),
    ],
)
def test_what_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = inspect(tmp_path, "--model", "temp_processors/fox", "--limit", "1", *arguments)
    assert message in done.stdout + done.stderr
