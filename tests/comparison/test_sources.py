"""Sources of `score` and `compare`: files, datasets and run folders by any name, from anywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison.scoring import score_sources, stream_sources, tokenizer_named
from temp_processors.comparison.sources import configuration, configured, read_groups
from temp_processors.datafiles import RowsError
from temp_processors.fox import FOX_PATH
from temp_processors.report.page import write_page
from temp_processors.runs.folder import Run

TEXTS = ["the fox ran home", "the owl sat", "a wolf ran", "an elk ate", "the hen hid"]
OLD_RUN = Path(__file__).parents[1] / "runs" / "old_run"


@pytest.mark.parametrize("name", ["saved_v1.0", "OpenHermes-2.5", "tales.csv"])
def test_a_dataset_with_a_dot_in_its_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    Dataset.from_dict({"text": TEXTS}).save_to_disk(str(folder))
    assert read_groups([str(folder)])[str(folder)].texts == TEXTS


def test_a_hub_id_with_a_dot_is_asked_of_the_hub() -> None:
    with pytest.raises(RowsError, match=r"nobody/Nothing-2\.5: cannot be read as a dataset"):
        read_groups(["nobody/Nothing-2.5"])


def test_a_damaged_dataset_folder_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    Dataset.from_dict({"text": TEXTS}).save_to_disk(str(folder))
    (arrow,) = folder.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(RowsError, match=r"saved: cannot be read as a dataset: "):
        read_groups([str(folder)])


def test_texts_in_content_parts(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps({"text": [{"type": "text", "text": "the "}, {"type": "text", "text": "fox"}]}))
    assert read_groups([str(path)])["chat"].texts == ["the fox"]


def test_the_name_of_a_group_is_that_of_its_file_without_suffixes(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "tales.v2.txt.gz").write_bytes(gzip.compress(b"the fox\nran home\n"))
    assert list(read_groups([str(tmp_path / "tales.v2.txt.gz")])) == ["tales.v2"]
    assert list(stream_sources([str(tmp_path / "tales.v2.txt.gz")], ["distinct_1"])) == ["tales.v2"]


def invoke(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, arguments)


def test_the_home_folder_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(OLD_RUN, tmp_path / "run")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    (tmp_path / "model").symlink_to(FOX_PATH)
    for arguments in [
        ("report", "~/run", "--out", "~/page.html"),
        ("compare", "~/run"),
        ("compare", "~/run", "--at", "0.6"),
        ("score", "~/texts.txt", "--tokenizer", "~/model", "--out", "~/scores"),
        ("score", "~/texts.txt", "--stream", "--out", "~/streamed"),
        ("softmax", "--out", "~/softmax.svg"),
        ("run", "fox", "--set", "samples_per_prompt=1", "--out", "~/new", "--dry-run"),
    ]:
        done = invoke(*arguments)
        assert done.exit_code == 0, (arguments, done.output)
    for name in ("page.html", "scores/metrics.json", "streamed/metrics.json", "softmax.svg"):
        assert (tmp_path / name).is_file()
    assert list(score_sources(["~/texts.txt"], ["distinct_1"])) == ["texts"]
    assert tokenizer_named("~/model").name_or_path == str(tmp_path / "model")
    assert Run.load("~/run").path == tmp_path / "run"
    assert write_page([Path("~/run")], Path("~/again.html")) == tmp_path / "again.html"
    assert not Path("~").exists()


@pytest.mark.parametrize("name", ["x.yaml", "X.YML", "x.xlsx"])
def test_what_holds_no_texts_is_not_scored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("name: fox\n")
    done = invoke("score", str(tmp_path / name), "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{tmp_path / name}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "a: [" * 1000,
        "x: &x [*x]",
        "policies: !!python/object:os.system []",
        "? [a]\n: 1",
        "seed: 2020-13-45",
        "a: " + "9" * 5000,
        "\n".join(["b0: &b0 [x]", *(f"b{i + 1}: &b{i + 1} [*b{i}, *b{i}]" for i in range(30))]),
    ],
    ids=range(7),
)
def test_the_configuration_of_a_run_is_read_in_bounds(tmp_path: Path, text: str) -> None:
    (tmp_path / "samples.jsonl").touch()
    (tmp_path / "config.yaml").write_text(text)
    assert configuration(tmp_path) == {}
    assert configured(str(tmp_path)) == ([], None)


GOOD = {
    "policy": "a",
    "prompt_id": 0,
    "sample_id": 0,
    "seed": 0,
    "prompt": "P",
    "text": "the fox",
    "token_ids": [1],
    "finish_reason": "stop",
    "log_prob": -1.0,
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (json.dumps({**GOOD, "text": None}), "text has to be a valid string, but is 'None'"),
        (json.dumps({**GOOD, "policy": 5}), "policy has to be a valid string, but is '5'"),
        (json.dumps({**GOOD, "log_prob": "-1"}), "log_prob has to be a valid number, but is '-1'"),
        (json.dumps({**GOOD, "prompt_id": True}), "prompt_id has to be a valid integer, but is 'True'"),
        (json.dumps({**GOOD, "token_ids": {}}), "token_ids has to be a valid array"),
        (json.dumps({**GOOD, "text": "\ud800"}), ""),
        ("[" * 100_000, "it is nested too deep"),
        ("{}", ""),
        ("5", ""),
        ("{", ""),
    ],
)
def test_a_damaged_sample_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "samples.jsonl").write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(RowsError) as error:
        read_groups([str(tmp_path)])
    assert str(error.value).startswith(f"{tmp_path / 'samples.jsonl'}:2: is damaged: {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("command", ["score", "compare"])
def test_a_run_whose_samples_were_lost_is_no_dataset(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD_RUN, "lost")
    Path("lost/samples.jsonl").unlink()
    done = CliRunner().invoke(app, [command, "lost"])
    assert (done.exit_code, done.output.strip()) == (
        2,
        "lost/samples.jsonl: cannot be read: No such file or directory",
    )
