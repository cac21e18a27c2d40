"""A run says, once, where one forward pass does not confirm the log-probabilities of its texts."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from rich.console import Console

from temp_processors.config.loading import load_config
from temp_processors.experiment.confirmation import unconfirmed
from temp_processors.experiment.run import run_experiment
from tests.engines.architectures import random_model
from tests.models import tiny_tokenizer

WARNING = (
    r"warning: (\d+) of 4 traced texts have another log-probability in one forward pass than when they were drawn, up to "
    r"([\d.]+) nats \(policy 'hot', prompt \d, sample \d: -[\d.]+ drawn, -[\d.]+ in one pass\)"
)


@pytest.mark.parametrize(
    ("name", "confirmed"), [("llama", True), ("rwkv", True), ("xlm", False), ("bert encoder", False)]
)
def test_a_run_says_what_its_traces_do_not_confirm(name: str, confirmed: bool, tmp_path: Path) -> None:
    model = random_model(name)
    model.save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    settings = [
        f"model={tmp_path / 'model'}",
        "prompts=[the quick brown fox, the dog]",
        "policies=[{name: hot, kind: fixed, temperature: 1.2}]",
        *("samples_per_prompt=2", "max_new_tokens=24", "metrics=[distinct_1]", "seed=3"),
    ]
    said = io.StringIO()
    run_experiment(load_config("fox", settings, out=tmp_path / "run"), console=Console(file=said, width=400))
    lines = [line for line in said.getvalue().splitlines() if line.startswith("warning")]
    assert len(lines) == (0 if confirmed else 1), lines
    if not confirmed:
        found = re.match(WARNING, lines[0])
        assert found, lines[0]
        assert float(found[2]) > 0.02


def written(folder: Path, drawn: list[float], tokens: list[list[float]]) -> Path:
    def texts(number: int) -> dict[str, Any]:
        return {"policy": "a", "prompt_id": 0, "sample_id": number}

    rows = [{**texts(number), "log_prob": value} for number, value in enumerate(drawn)]
    steps = [{**texts(number), "log_prob": value} for number, values in enumerate(tokens) for value in values]
    parquet.write_table(pa.Table.from_pylist(rows), folder / "samples.parquet")
    parquet.write_table(pa.Table.from_pylist(steps), folder / "traces.parquet")
    return folder


def test_rounding_is_no_difference(tmp_path: Path) -> None:
    written(tmp_path, [-3.0, -7.0], [[-1.0, -2.0], [-3.0, -4.002]])
    assert unconfirmed(tmp_path, "torch.float32") is None
    written(tmp_path, [-3.0, -7.0], [[-1.0, -2.0], [-3.0, -4.2]])
    assert unconfirmed(tmp_path, "torch.bfloat16") is None
    line = unconfirmed(tmp_path, "torch.float32")
    assert line is not None
    assert "1 of 2 traced texts" in line
    assert "up to 0.2 nats (policy 'a', prompt 0, sample 1: -7.00 drawn, -7.20 in one pass)" in line


def test_a_pass_that_rules_a_token_out(tmp_path: Path) -> None:
    for lost in (float("-inf"), float("nan")):
        line = unconfirmed(written(tmp_path, [-3.0], [[-1.0, lost]]), "float32")
        assert line is not None
        assert "up to inf nats" in line


def test_texts_that_are_not_traced_are_not_judged(tmp_path: Path) -> None:
    assert unconfirmed(written(tmp_path, [-3.0, -99.0], [[-1.0, -2.0]]), "float32") is None
