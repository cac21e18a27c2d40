"""lm-evaluation-harness on a local task: the texts are those of `generate` under the policy, with the same seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors import FOX_PATH
from temp_processors.config.sections import ModelSpec
from temp_processors.custom_generate import custom_generate_path
from temp_processors.custom_generate.repository import save_with_policy
from temp_processors.engines.local import LocalEngine
from tests.integrations.harnesses.questions_task import DYNAMIC, harness_task, questions, text_of_generate

pytestmark = [pytest.mark.slow, pytest.mark.harnesses, pytest.mark.filterwarnings("default")]
pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not in this environment: scripts/setup_harnesses.sh")

TASK = "twenty_questions"
RECIPE = {"custom_generate": custom_generate_path(), "trust_remote_code": True, "temperature_policy": DYNAMIC}


def wanted(engine: LocalEngine, seed: int) -> list[str]:
    prompts = [f"Q: {row['question']}\nA:" for row in questions()]
    texts = [text_of_generate(engine.model, engine.tokenizer, prompt, DYNAMIC, seed) for prompt in prompts]
    return [text.split("\n")[0] for text in texts]


def texts_of(found: Any) -> list[str]:
    return [row["resps"][0][0] for row in sorted(found["samples"][TASK], key=lambda row: row["doc_id"])]


@pytest.mark.parametrize(("name", "batch_size"), [("fox", 8), ("smollm2", 1)])
def test_the_texts_are_those_of_generate(tmp_path: Path, name: str, batch_size: int) -> None:
    """SmolLM2's weights are packed; in batches of 8 the last bits of its scores moved one of these 240 tokens."""
    from temp_processors.integrations.lm_eval import evaluate

    engine = LocalEngine.of(ModelSpec(name=name))
    task = str(harness_task(tmp_path))
    found = evaluate(engine.model, engine.tokenizer, [task], {"dynamic": DYNAMIC}, seed=5, batch_size=batch_size)
    assert texts_of(found.results["dynamic"]) == wanted(engine, 5)
    assert found.verdict(TASK).prompts == 20


def hf(pretrained: Path, task: Path, arguments: dict[str, Any]) -> Any:
    """The line `lm-eval --model hf --gen_kwargs ...`."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    model = {"pretrained": str(pretrained), "trust_remote_code": True, "device": "cpu"}
    options = {"tasks": [str(task)], "task_manager": TaskManager(include_defaults=False), "batch_size": 8}
    return simple_evaluate("hf", model_args=model, gen_kwargs=arguments, bootstrap_iters=0, **options)


def test_the_hf_line(tmp_path: Path) -> None:
    task, engine = harness_task(tmp_path), LocalEngine.of(ModelSpec(name="fox"))
    sampled = {"do_sample": True, "temperature": 1.0, "seeds": 5}
    assert texts_of(hf(FOX_PATH, task, {**RECIPE, **sampled})) == wanted(engine, 5)
    with pytest.raises(ValueError, match="do_sample=False takes the most probable token"):
        hf(FOX_PATH, task, {**RECIPE, "seeds": 5})


def test_the_hf_line_on_a_folder_with_the_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "fox"
    AutoModelForCausalLM.from_pretrained(FOX_PATH).save_pretrained(folder)
    AutoTokenizer.from_pretrained(FOX_PATH).save_pretrained(folder)
    save_with_policy(folder, DYNAMIC)
    found = hf(folder, harness_task(tmp_path), {"do_sample": True, "temperature": 1.0, "seeds": 5})
    assert texts_of(found) == wanted(LocalEngine.of(ModelSpec(name="fox")), 5)


SHOUTING = """
task: {answer: first_line, reference: target, score: contains}
"""


def test_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from temp_processors.cli.app import app

    (tmp_path / "task.yaml").write_text(SHOUTING)
    options = ["--tasks", str(harness_task(tmp_path)), "--policies", "0.5,1", "--limit", "6", "--seed", "5"]
    ends = ["--out", str(tmp_path / "out"), "--task", str(tmp_path / "task.yaml")]
    done = CliRunner().invoke(app, ["eval", *options, *ends])
    assert done.exit_code == 0, done.output
    assert set(json.loads((tmp_path / "out" / "verdict.json").read_text())[TASK]["policies"]) == {"T=0.5", "T=1"}
    assert set(json.loads((tmp_path / "out" / "task" / "verdict.json").read_text())["policies"]) == {"T=0.5", "T=1"}
    assert (tmp_path / "out" / "00-T=0.5" / f"samples_{TASK}.jsonl").read_text().count("\n") == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tasks", "no_such_task", "--policies", "1"], "has no task 'no_such_task'"),
        (["--tasks", "nowhere.yaml", "--policies", "1"], "nowhere.yaml: no such file"),
        (["--tasks", "QUESTIONS", "--policies", "[{name: a, kind: fixt, temperature: 1}]"], "fixt"),
        (["--tasks", "QUESTIONS", "--policies", "1", "--limit", "2", "--metric", "bleu"], "there are: right,none"),
    ],
)
def test_mistakes(tmp_path: Path, options: list[str], message: str) -> None:
    from typer.testing import CliRunner

    from temp_processors.cli.app import app

    given = [str(harness_task(tmp_path)) if word == "QUESTIONS" else word for word in options]
    done = CliRunner().invoke(app, ["eval", *given, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert message in done.output
