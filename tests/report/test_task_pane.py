"""The pane of a task: in a real browser for a real run, and what is left out of files that no run wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from temp_processors import load_config, run_experiment
from temp_processors.report.page import write_page
from temp_processors.report.page_data import page_data
from temp_processors.report.task_data import answers_of, task_data
from temp_processors.report.task_plots import task_figures
from temp_processors.runs.lenient import load_run

PROMPTS = [
    "The quick brown fox",
    "The old black bear",
    "The shy field mouse",
    "The clever gray wolf",
    "The busy young squirrel",
]
SETTINGS = [
    f"prompts={json.dumps(PROMPTS)}",
    "samples_per_prompt=4",
    "max_new_tokens=8",
    "metrics=[distinct_2]",
    "traces=false",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tasks") / "tale"
    run_experiment(load_config("fox_task", SETTINGS, out=path))
    return path


def test_the_pane_of_the_task_opens_first_and_leads_to_the_answers(page: Any, run: Path, tmp_path: Path) -> None:
    verdict = json.loads((run / "verdict.json").read_text())
    page.goto(write_page([run], tmp_path / "report.html").as_uri())
    assert page.locator("[role=tabpanel]:visible").get_attribute("id") == "pane-task"
    assert page.inner_text("#pane-task .answer") == verdict["sentence"]
    assert page.locator("#pane-task svg.chart").count() >= 2
    policies = len(verdict["policies"])
    assert page.locator("#pane-task .heat").count() == 5 * policies
    shares = page.locator("#pane-task tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.querySelectorAll('.heat')].map(b => +b.dataset.share))"
    )
    apart = [max(row) - min(row) for row in shares]
    assert apart == sorted(apart, reverse=True)
    page.select_option("#measure", "pass@k")
    assert page.locator("#k option").all_inner_texts() == ["1", "2", "4"]
    page.select_option("#heat-sort", "number")
    page.click("#heat-0-0")
    assert page.locator("[role=tabpanel]:visible").get_attribute("id") == "pane-wall"
    assert page.locator("#pane-wall .extracted").count() == page.locator("#pane-wall .card").count() > 0
    page.keyboard.press("1")
    assert page.locator("[role=tabpanel]:visible").get_attribute("id") == "pane-task"


def test_numbers_of_the_page_are_those_of_the_run(run: Path) -> None:
    scored = json.loads((run / "metrics.json").read_text())["task"]["scorers"]
    data = page_data(load_run(run))
    scorer = next(iter(scored))
    for policy, held in data["task"]["scorers"][scorer].items():
        of = scored[scorer]["policies"][policy]
        assert held["mean"] == [of["mean_score"]["value"], *of["mean_score"]["interval"]]
        assert held["at"]["pass@k"]["4"][0] == of["pass@k"]["4"]["value"]
        assert held["byPrompt"] == of["by_prompt"]
    assert len(data["answers"]) == len(data["samples"])
    assert all(answer is not None for answer in data["answers"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("verdict.json", '{"sentence": 3}'),
        ("verdict.json", "[" * 100_000),
        ("verdict.json", "{"),
        ("metrics.json", '{"policies": {}, "task": {"scorers": {"x": {"policies": {"T=0.1": {"mean_score": "1"}}}}}}'),
        ("metrics.json", '{"policies": {}, "task": [1]}'),
    ],
)
def test_what_no_run_writes_is_left_out_with_a_note(run: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(run, folder)
    (folder / name).write_text(content)
    notes: list[str] = []
    assert task_data(load_run(folder), notes) is None
    assert notes[0].startswith("the scores of the task are left out: ")


def test_pictures_for_a_paper(run: Path) -> None:
    figures = task_figures(load_run(run))
    assert list(figures) == ["score_begins_a_tale", "frontier_score_begins_a_tale"]
    axes = figures["score_begins_a_tale"].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("temperature", "mean begins a tale")


def test_answers_that_are_damaged_are_left_out(tmp_path: Path) -> None:
    good = {
        "policy": "a",
        "prompt_id": 0,
        "sample_id": 1,
        "answer": "x" * 300,
        "references": [3],
        "scores": {"exact": 1.0, "odd": "y"},
    }
    lines = [
        json.dumps(good),
        "{",
        "[]",
        json.dumps({**good, "prompt_id": "0"}),
        json.dumps({**good, "scores": None}),
        "[" * 50_000,
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    assert dict(answers_of(tmp_path)) == {("a", 0, 1): ["x" * 200 + "...", True, ["3"], {"exact": 1.0}]}


def test_a_run_without_a_task_has_no_pane(tmp_path: Path) -> None:
    assert task_data(load_run(tmp_path), []) is None
