"""Uploading a run, with a stand-in for the Hub: a folder that receives the files."""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run
from temp_processors.runs.hub import PushError, push_run, refuse_push

SMALL = ["samples_per_prompt=2", "max_new_tokens=4"]


class Hub:
    """The three calls of `HfApi` that an upload makes, into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.private = folder, None

    def create_repo(self, repo_id: str, *, repo_type: str, private: bool, exist_ok: bool) -> str:
        assert (repo_type, exist_ok) == ("dataset", True)
        self.private = private
        return f"hub/datasets/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: str, repo_type: str, ignore_patterns: list[str]) -> None:
        def left_out(_: str, names: list[str]) -> list[str]:
            return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in ignore_patterns)]

        shutil.copytree(folder_path, self.folder, ignore=left_out)

    def upload_file(self, *, path_or_fileobj: bytes, path_in_repo: str, repo_id: str, repo_type: str) -> None:
        (self.folder / path_in_repo).write_bytes(path_or_fileobj)


class Refusing(Hub):
    """A Hub that does not let anybody write."""

    def upload_folder(self, **_: Any) -> None:
        raise ConnectionError("403 Forbidden: you have no right to write")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_experiment(load_config("fox", SMALL, out=tmp_path_factory.mktemp("runs") / "run"))


def test_what_was_uploaded_is_a_dataset(run: Run, tmp_path: Path) -> None:
    hub = Hub(tmp_path / "repo")
    assert push_run(run, "me/foxes", hub) == "hub/datasets/me/foxes"
    assert hub.private
    assert not (hub.folder / ".lock").exists()
    assert {"samples.jsonl", "config.yaml", "DONE"} <= {path.name for path in hub.folder.iterdir()}
    assert 'load_dataset("me/foxes", split="train")' in (hub.folder / "README.md").read_text()
    rows = load_dataset(str(hub.folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(rows["text"]) == sorted(sample.text for sample in run.samples)


def test_a_refusal_says_how_to_try_again(run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        PushError, match=r"me/foxes: cannot be uploaded: 403 Forbidden.*try again with `hf upload me/foxes"
    ):
        push_run(run, "me/foxes", Refusing(tmp_path / "repo"))


def test_the_command_uploads_page_and_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path / "repo")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    for call in ("create_repo", "upload_folder", "upload_file"):
        monkeypatch.setattr(huggingface_hub.HfApi, call, lambda _, *a, call=call, **k: getattr(hub, call)(*a, **k))
    flags = [part for setting in SMALL for part in ("--set", setting)]
    out = ["--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["run", "fox", *flags, *out, "--push-to-hub", "me/foxes"])
    assert done.exit_code == 0, done.output
    assert "uploaded: hub/datasets/me/foxes" in done.stdout
    assert {"report.html", "comparison.md"} <= {path.name for path in hub.folder.iterdir()}
    card = (hub.folder / "README.md").read_text()
    assert "| policy |" in card
    assert "## Verdict\n\n- Compared with T=0.1 in " in card


def test_what_can_be_known_before_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    with pytest.raises(PushError, match="'a/b/c' is not the name of a repository"):
        refuse_push("a/b/c")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("temp_processors.runs.hub.get_token", lambda: None)
    done = CliRunner().invoke(app, ["run", "fox", "--out", str(tmp_path / "run"), "--push-to-hub", "me/foxes"])
    assert done.exit_code == 2
    assert "nobody is logged in" in done.stderr
    assert not (tmp_path / "run").exists()
