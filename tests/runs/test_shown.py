"""What a run and a score show of themselves, in a shell and in a notebook."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import pytest

from temp_processors.config.yaml_lines import read_yaml
from temp_processors.metrics import distinct_n
from temp_processors.runs.folder import Run
from temp_processors.runs.temperatures import fixed_temperatures
from temp_processors.runs.trend import trend_lines
from temp_processors.runs.verdict import answer_lines
from tests.report.report_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("shown") / "run"
    make_run(path, samples=4, steps=2)
    return Run.load(path)


def test_a_run_says_where_it_is_and_what_is_there(run: Run, tmp_path: Path) -> None:
    assert repr(run) == f"Run({str(run.path)!r}: complete, {', '.join(run.metrics)})"
    assert repr(Run(tmp_path / "none")).endswith(": nothing there yet)")
    (tmp_path / "samples.jsonl").touch()
    assert repr(Run(tmp_path)).endswith(": unfinished)")
    (tmp_path / "DONE").touch()
    assert "its metrics.json is missing or damaged" in repr(Run(tmp_path))
    assert "its metrics.json is missing or damaged" in Run(tmp_path)._repr_html_()


def test_a_notebook_shows_the_scores_and_escapes_names(run: Run, tmp_path: Path) -> None:
    html = run._repr_html_()
    assert html.count("<tr>") == 1 + len(run.metrics)
    assert f"<th>{next(iter(run.metrics))}</th>" in html
    temperatures = fixed_temperatures(read_yaml(run.path / "config.yaml").data)
    said = [*trend_lines(run.metrics, temperatures), *answer_lines(run.metrics)]
    assert said, "the run of this test has differences"
    assert [escape(line) for line in said] == re.findall("<p>([^<].*)</p>", html)
    hostile = {"<img src=x>": {"distinct_2": {"value": 0.5, "difference": {"statement": "<b>", "baseline": "&"}}}}
    (tmp_path / "metrics.json").write_text(json.dumps({"policies": hostile}))
    (tmp_path / "verdict.json").write_text(json.dumps({"sentence": "T<1 & more"}))
    (tmp_path / "DONE").touch()
    html = Run(tmp_path)._repr_html_()
    assert "<p>T&lt;1 &amp; more</p>" in html
    assert "&lt;img src=x&gt;" in html
    assert "&lt;b&gt; (against &amp;)" in html
    assert "<img" not in html
    assert "<b>" not in html


def test_a_score_shows_its_value_and_signature() -> None:
    score = distinct_n(["a b c", "a b d"], n=1)
    assert repr(score).startswith("Score(distinct_1 = 0.6667, ")
    assert score.signature in repr(score)
    assert "<th>distinct_1</th><td>0.6667</td>" in score._repr_html_()
    assert "undefined: " in repr(distinct_n([], n=1))


def test_samples_are_a_list_to_look_at(run: Run) -> None:
    everything = list(run.samples)
    for wanted in (slice(2), slice(-2, None), slice(None, None, -1), slice(5, 2), slice(1, 9, 3)):
        assert run.samples[wanted] == everything[wanted]
    assert run.samples[-1] == everything[-1]
