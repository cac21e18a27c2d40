"""Prompts from files, datasets and chats."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors.config import load_config
from temp_processors.experiment.models import LoadedModel, ModelError
from temp_processors.experiment.prompts import prepare
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.prompt_source import PromptError, PromptSource
from temp_processors.yaml_source import ConfigError

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
    with pytest.raises(PromptError, match=r"row 1 of .* has to be a text"):
        PromptSource(file=str(tmp_path / "blank.jsonl")).read()


@pytest.mark.parametrize("setting", ["prompts={file: a, dataset: b}", "prompts={limit: 3}"])
def test_one_source(setting: str) -> None:
    with pytest.raises(ConfigError, match="has to name a `file` or a `dataset`, one of them"):
        load_config("fox", [setting])


@pytest.fixture(scope="module")
def fox() -> LoadedModel:
    return LoadedModel(AutoModelForCausalLM.from_pretrained(FOX_PATH), AutoTokenizer.from_pretrained(FOX_PATH))


def test_chats_go_through_the_template(fox: LoadedModel) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        prepare([CHAT], fox, None, 4)
    fox.tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}. {% endfor %}"
    assert prepare([CHAT], fox, None, 4).texts == ["user: The fox. "]
    assert prepare(["The fox"], fox, "Be brief", 4).texts == ["system: Be brief. user: The fox. "]


def test_a_prompt_that_does_not_fit(fox: LoadedModel) -> None:
    limit = fox.model.config.max_position_embeddings
    with pytest.raises(ModelError, match=rf"prompts.1: has \d+ tokens, and 9 new ones .* context holds {limit}"):
        prepare(["The fox", "The fox. " * limit], fox, None, 9)
