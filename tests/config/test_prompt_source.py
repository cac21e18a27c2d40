"""Prompts from files, datasets and chats."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.config.prompts import PromptError, PromptSource
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.engine import ModelError
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.prompts import prepare
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH

TEXTS = ["The quick brown fox", "A slow dog", "One day"]
CHAT = [{"role": "user", "content": "The fox"}]


def written(folder: Path, suffix: str) -> str:
    path = folder / f"prompts{suffix}"
    if suffix == ".txt":
        path.write_text("\n\n".join(TEXTS))
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    elif suffix == ".parquet":
        pq.write_table(pa.table({"text": TEXTS}), path)
    else:
        path.write_text("\n".join(["text", *TEXTS]))
    return str(path)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_files(tmp_path: Path, suffix: str) -> None:
    assert PromptSource(file=written(tmp_path, suffix)).read() == TEXTS
    assert PromptSource(file=written(tmp_path, suffix), limit=2).read() == TEXTS[:2]


def test_a_run_on_prompts_of_a_file(tmp_path: Path) -> None:
    file = written(tmp_path, ".jsonl")
    settings = [f"prompts={{file: {file}}}", "samples_per_prompt=2", "max_new_tokens=3"]
    config = load_config("fox", settings, out=tmp_path / "run")
    run = run_experiment(config)
    assert {sample.prompt for sample in run.samples} == set(TEXTS)
    assert load_config(run.path / "config.yaml").prompts == config.prompts


def dataset_folder(folder: Path) -> Path:
    """A folder of data files, as `load_dataset` takes it: two splits, the prompts in a column of another name."""
    folder.mkdir()
    rows = [{"id": number, "story": text} for number, text in enumerate(TEXTS)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "test.jsonl").write_text(json.dumps({"id": 9, "story": "The wolf"}) + "\n")
    return folder


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = str(dataset_folder(tmp_path / "stories"))
    common = {"dataset": folder, "column": "story", "streaming": streaming}
    assert PromptSource(**common).read() == TEXTS
    assert PromptSource(**common, limit=2).read() == TEXTS[:2]
    assert PromptSource(**common, split="test").read() == ["The wolf"]
    with pytest.raises(PromptError, match="there is no column 'text'; columns: id, story"):
        PromptSource(dataset=folder, streaming=streaming).read()
    with pytest.raises(PromptError, match="cannot be read as a dataset"):
        PromptSource(**common, split="nowhere").read()


def test_a_dataset_that_save_to_disk_wrote(tmp_path: Path) -> None:
    Dataset.from_dict({"messages": [CHAT, CHAT]}).save_to_disk(str(tmp_path / "saved"))
    found = PromptSource(dataset=str(tmp_path / "saved"), column="messages", limit=1).read()
    assert found == [CHAT]


def test_a_run_on_prompts_of_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = dataset_folder(tmp_path / "stories")
    source = f"prompts={{dataset: {folder}, split: train, column: story, limit: 2, streaming: true}}"
    run = run_experiment(load_config("fox", [source, "samples_per_prompt=2", "max_new_tokens=3"], tmp_path / "run"))
    assert {sample.prompt for sample in run.samples} == set(TEXTS[:2])


def test_a_wrong_column_names_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="there is no column 'story'; columns: text"):
        PromptSource(file=written(tmp_path, ".csv"), column="story").read()


def test_no_file_no_prompts_no_words(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"nowhere\.txt: no such file"):
        PromptSource(file="nowhere.txt").read()
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(PromptError, match="holds no prompt"):
        PromptSource(file=str(tmp_path / "empty.txt")).read()
    (tmp_path / "blank.jsonl").write_text('{"text": "a"}\n{"text": " "}\n')
    with pytest.raises(PromptError, match=r"row 2 of .* has to be a text"):
        PromptSource(file=str(tmp_path / "blank.jsonl")).read()


@pytest.mark.parametrize("setting", ["prompts={file: a, dataset: b}", "prompts={limit: 3}"])
def test_one_source(setting: str) -> None:
    with pytest.raises(ConfigError, match="has to name a `file` or a `dataset`, one of them"):
        load_config("fox", [setting])


@pytest.fixture(scope="module")
def fox() -> LocalEngine:
    return LocalEngine(AutoModelForCausalLM.from_pretrained(FOX_PATH), AutoTokenizer.from_pretrained(FOX_PATH))


def test_chats_go_through_the_template(fox: LocalEngine) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        prepare([CHAT], fox, None, 4)
    fox.tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}. {% endfor %}"
    assert prepare([CHAT], fox, None, 4).texts == ["user: The fox. "]
    assert prepare(["The fox"], fox, "Be brief", 4).texts == ["system: Be brief. user: The fox. "]


def test_a_prompt_that_does_not_fit(fox: LocalEngine) -> None:
    limit = fox.model.config.max_position_embeddings
    with pytest.raises(ModelError, match=rf"prompts.1: has \d+ tokens, and 9 new ones .* context holds {limit}"):
        prepare(["The fox", "The fox. " * limit], fox, None, 9)


def test_the_command_names_the_line_of_the_configuration(tmp_path: Path) -> None:
    written(tmp_path, ".csv")
    (tmp_path / "ragged.jsonl").write_text('{"story": "a"}\n{"text": "b"}\n')
    config = tmp_path / "demo.yaml"
    for prompts, expected in [
        ("{file: nowhere.txt}", ":2: prompts: nowhere.txt: no such file"),
        (
            f"{{file: {tmp_path}/ragged.jsonl, column: tale}}",
            ":2: prompts.column: there is no column 'tale'; columns: story",
        ),
        (
            f"{{file: {tmp_path}/ragged.jsonl, column: story}}",
            "has to be a text, or messages with role and content, but is 'None'",
        ),
    ]:
        config.write_text(f"name: x\nprompts: {prompts}\npolicies: [{{name: a, kind: fixed, temperature: 1}}]\n")
        result = CliRunner().invoke(app, ["run", str(config)])
        assert result.exit_code == 2
        assert expected in result.output
