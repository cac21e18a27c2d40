"""A run folder from elsewhere: nothing is written outside of it, nothing in it ends a command in a traceback or blanks the page."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.report.page import page_html, write_page
from temp_processors.report.page_data import page_data
from temp_processors.report.plots import run_figures
from temp_processors.runs.lenient import load_run

OLD_RUN = Path(__file__).parents[1] / "runs" / "old_run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "inside" / "run"
    shutil.copytree(OLD_RUN, folder)
    return folder


def metrics_of(run: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return data


def outside(run: Path) -> set[Path]:
    """Everything beside the run folder."""
    return {path for path in run.parents[1].rglob("*") if not path.is_relative_to(run)}


def test_metrics_that_name_paths_are_refused(run: Path) -> None:
    data = metrics_of(run)
    for row in data["policies"].values():
        for name in ("../../ESCAPED", "/tmp/ESCAPED-absolute", "..", "a/b", "x" * 300, "a\0b", "\x1b[31m"):
            row[name] = row["distinct_2"]
    (run / "metrics.json").write_text(json.dumps(data))
    before = outside(run)
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0, done.output
    assert outside(run) == before
    assert not Path("/tmp/ESCAPED-absolute.png").exists()
    assert not [file for file in run.rglob("*") if "ESCAPED" in file.name]
    (note,) = (note for note in load_run(run).notes if "metrics.json" in note)
    assert note.startswith("metrics.json: left out, since they are no scores: T=0.1, ../../ESCAPED, ")


def test_links_in_a_run_folder_are_not_followed(run: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (run / "plots").mkdir()
    for name in ("report.html", "comparison.md", "plots/distinct_2.png", "plots/distinct_2.svg"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(precious)
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
    assert precious.read_text() == "mine"
    assert (run / "report.html").read_text().startswith("<!")
    shutil.rmtree(run / "plots")
    (run / "plots").symlink_to(tmp_path)
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 2
    assert "plots: is a link to elsewhere, where nothing is written" in done.output


JUNK: list[Any] = [
    None,
    "text",
    "",
    5,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    ["a"],
    {"a": 1},
    10**400,
    float("nan"),
    float("inf"),
    1e308,
    "\ud800",
]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of JSON data."""
    if path:
        yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(value, (*path, key))


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(data))
    here = copy
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return copy


def check(run: Path, *, pictures: bool = False) -> None:
    loaded = load_run(run)
    page_html({"runs": [page_data(loaded)]}).encode()
    if pictures:
        run_figures(loaded)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("count", [15, pytest.param(150, marks=pytest.mark.slow)])
def test_no_value_of_scores_ends_the_report(run: Path, count: int) -> None:
    data, rng = metrics_of(run), random.Random(0)
    every = list(places(data))
    for number in range(count):
        (run / "metrics.json").write_text(json.dumps(changed(data, rng.choice(every), rng.choice(JUNK))))
        check(run, pictures=number % 50 == 0)


@pytest.mark.parametrize("name", ["environment.json", "stack.json"])
def test_no_value_of_the_setup_ends_the_report(run: Path, name: str) -> None:
    data, rng = json.loads((run / name).read_text()), random.Random(1)
    every = list(places(data))
    for _ in range(30):
        (run / name).write_text(json.dumps(changed(data, rng.choice(every), rng.choice(JUNK))))
        check(run)


def test_no_value_of_a_sample_ends_the_report(run: Path) -> None:
    lines, rng = (run / "samples.jsonl").read_text().splitlines(), random.Random(2)
    for traces in (True, False):
        if not traces:
            (run / "traces.parquet").unlink()
        for _ in range(50):
            row = json.loads(lines[3])
            path = rng.choice(list(places(row)))
            (run / "samples.jsonl").write_text(
                "\n".join([*lines[:3], json.dumps(changed(row, path, rng.choice(JUNK))), *lines[4:]])
            )
            check(run)
    (run / "samples.jsonl").write_text("\n".join([*lines[:3], "[" * 100_000, "9" * 5000, *lines[5:]]))
    assert "samples.jsonl: 2 lines are damaged and left out (line 4, 5)." in load_run(run).notes


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("entropy", pyarrow.array(["much"])),
        ("token_id", pyarrow.array([-5])),
        ("token_id", pyarrow.array([None], pyarrow.int64())),
        ("token_id", pyarrow.array([2**62])),
        ("policy", pyarrow.array([None], pyarrow.string())),
        ("top_ids", pyarrow.array([[1, None]])),
        ("top_ids", pyarrow.array([[1]])),
        ("top_logits", pyarrow.array([[None, 1.0]])),
        ("top_logits", pyarrow.array(["text"])),
        ("temperature", pyarrow.array([float("nan")])),
        ("step", pyarrow.array([{"a": 1}])),
        ("tail", pyarrow.array([[None]], pyarrow.list_(pyarrow.float64()))),
    ],
)
def test_no_column_of_traces_ends_the_report(run: Path, column: str, values: Any) -> None:
    table = pyarrow.parquet.read_table(run / "traces.parquet")
    place = table.schema.names.index(column)
    repeated = pyarrow.concat_arrays([values] * table.num_rows)
    pyarrow.parquet.write_table(table.set_column(place, column, repeated), run / "traces.parquet")
    check(run, pictures=column in ("entropy", "top_logits"))
    done = CliRunner().invoke(app, ["compare", str(run)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    "config",
    [
        "name: [x]\npolicies: [{name: [a], kind: fixed, temperature: 1}, 5, {kind: fixed}]",
        "policies: [{name: T=0.1, kind: fixed, temperature: .inf}, {name: T=0.5, kind: fixed, temperature: .nan}]",
        "policies: {a: b}\nmodel: [x]\nprompts: [[1], {a: b}]",
        "policies: [{name: T=0.1, kind: fixed, temperature: 1e300}]\nmodel: {name: 5}\nprompts: 5",
        "? [a]\n: 1",
        "x: " + "[" * 1000,
        "model: {name: /nowhere}",
        "- a",
    ],
)
def test_no_configuration_ends_the_report(run: Path, tmp_path: Path, config: str) -> None:
    (run / "config.yaml").write_text(config)
    check(run)
    for arguments in (["compare", str(run)], ["score", str(run), "--out", str(tmp_path / "out")]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output


def test_a_text_for_a_value_is_left_out_and_said(run: Path, tmp_path: Path) -> None:
    data = metrics_of(run)
    data["policies"]["T=0.5"]["distinct_2"]["value"] = "much"
    (run / "metrics.json").write_text(json.dumps(data))
    loaded = load_run(run)
    assert "metrics.json: left out, since they are no scores: T=0.5, distinct_2, value." in loaded.notes
    assert page_data(loaded)["metrics"]["T=0.5"]["distinct_2"]["text"] == "undefined"
    assert write_page([loaded], tmp_path / "page.html").is_file()
    run_figures(loaded)
