"""The measurements load from disk with `evaluate` and give the numbers of the functions."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import pytest

from temp_processors import evaluate_module
from temp_processors.metrics import distinct_n, self_bleu

TEXTS = ["the fox jumped over the dog", "the fox jumped over the log", "a wolf slept by the mill"]


@pytest.fixture(scope="module")
def evaluate() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of evaluate's own imports
        import evaluate
    return evaluate


def load(evaluate: ModuleType, name: str, cache: Path):  # type: ignore[no-untyped-def]
    return evaluate.load(evaluate_module(name), cache_dir=str(cache))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_same_numbers_as_the_functions(evaluate: ModuleType, tmp_path: Path, n: int) -> None:
    measured = load(evaluate, "distinct_n", tmp_path).compute(data=TEXTS, n=n)
    assert measured == {
        "distinct_n": distinct_n(TEXTS, n).value,
        "signature": distinct_n(TEXTS, n).signature,
        "reason": None,
    }
    assert load(evaluate, "self_bleu", tmp_path).compute(data=TEXTS, n=n)["self_bleu"] == self_bleu(TEXTS, n).value


def test_chinese_and_a_tokenizer_by_name(evaluate: ModuleType, tmp_path: Path) -> None:
    texts = ["狐狸跑了", "狐狸睡了"]
    for name in ("distinct_n", "self_bleu"):
        measurement = load(evaluate, name, tmp_path)
        found = {
            tok: measurement.compute(data=texts, n=1, tokenizer=tok) for tok in ("auto", "characters", "whitespace")
        }
        assert found["auto"] == found["characters"] == measurement.compute(data=texts, n=1)
        assert "|tok:whitespace|" in found["whitespace"]["signature"]
    assert load(evaluate, "distinct_n", tmp_path).compute(data=texts, n=1)["distinct_n"] == 5 / 8


def test_batches_add_up(evaluate: ModuleType, tmp_path: Path) -> None:
    measurement = load(evaluate, "self_bleu", tmp_path)
    measurement.add_batch(data=TEXTS[:2])
    measurement.add(data=TEXTS[2])
    assert measurement.compute(n=3)["self_bleu"] == self_bleu(TEXTS, 3).value


def test_combined(evaluate: ModuleType, tmp_path: Path) -> None:
    both = evaluate.combine([load(evaluate, "distinct_n", tmp_path), load(evaluate, "self_bleu", tmp_path)])
    scores = both.compute(data=TEXTS)
    assert scores["distinct_n"] == distinct_n(TEXTS).value
    assert scores["self_bleu"] == self_bleu(TEXTS).value


OTHER = """
import datasets
import evaluate


class MeanWords(evaluate.Measurement):
    def _info(self):
        features = datasets.Features({"data": datasets.Value("string")})
        return evaluate.MeasurementInfo(description="words", citation="", inputs_description="", features=features)

    def _compute(self, data):
        return {"mean_words": sum(len(text.split()) for text in data) / len(data)}
"""


def test_combined_with_a_module_of_someone_else(evaluate: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "mean_words").mkdir()
    (tmp_path / "mean_words" / "mean_words.py").write_text(OTHER)
    other = evaluate.load(str(tmp_path / "mean_words"), cache_dir=str(tmp_path))
    scores = evaluate.combine([load(evaluate, "distinct_n", tmp_path), other]).compute(data=TEXTS)
    assert scores["distinct_n"] == distinct_n(TEXTS).value
    assert scores["mean_words"] == 6.0


def test_unknown_measurement() -> None:
    with pytest.raises(ValueError, match="'bleurt' is not a measurement; there are distinct_n, self_bleu"):
        evaluate_module("bleurt")
