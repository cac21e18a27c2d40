"""`calibrate`: exact on scores of known temperature, honest about its interval, and a line for every way to have no optimum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.yaml_lines import read_yaml
from temp_processors.engines.local import LocalEngine
from temp_processors.engines.model_errors import ModelError
from temp_processors.fox import FOX_PATH
from temp_processors.tuning import references as reading
from temp_processors.tuning.calibration import CalibrationError, Moments, calibrate, moments
from temp_processors.tuning.references import Reference, tokenized
from tests.models import tiny_llama, tiny_t5, tiny_tokenizer

Texts = list[tuple[torch.Tensor, torch.Tensor]]


def drawn(count: int, tokens: int, temperature: float, seed: int = 0, *, spread: float = 0.0, vocab: int = 12) -> Texts:
    """Scores and tokens drawn at a temperature, which differs from text to text by a factor of about exp(spread)."""
    draw = torch.Generator().manual_seed(seed)
    texts = []
    for _ in range(count):
        scores = torch.randn(tokens, vocab, generator=draw, dtype=torch.float64) * 2
        own = temperature * float(torch.randn((), generator=draw).mul(spread).exp())
        texts.append((scores, torch.multinomial((scores / own).softmax(-1), 1, generator=draw)[:, 0]))
    return texts


def fitted(texts: Texts, clusters: Sequence[int] | None = None) -> Any:
    def read(betas: Sequence[float]) -> list[Moments]:
        return [moments(*text, betas) for text in texts]

    return calibrate(read, range(len(texts)) if clusters is None else clusters)


def loss(texts: Texts, temperature: float) -> float:
    return sum(float(torch.nn.functional.cross_entropy(s / temperature, y, reduction="sum")) for s, y in texts)


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 5.0])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_minimum(temperature: float, masked: bool) -> None:
    texts = drawn(20, 15, temperature, seed=2)
    if masked:
        for scores, tokens in texts:
            hidden = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)) < 0.3
            scores.masked_fill_(hidden.scatter(1, tokens[:, None], False), -torch.inf)
    found = fitted(texts)
    best = minimize_scalar(
        lambda log: loss(texts, np.exp(log)), bounds=(-4, 4), options={"xatol": 1e-9}, method="bounded"
    )
    assert found.temperature == pytest.approx(np.exp(best.x), rel=1e-6)
    assert (found.tokens, found.texts, found.clusters) == (300, 20, 20)
    assert found.before.nll == pytest.approx(loss(texts, 1.0) / 300, rel=1e-12)
    assert found.after.nll == pytest.approx(loss(texts, found.temperature) / 300, rel=1e-12)
    assert found.after.nll <= found.before.nll
    assert found.passes <= 10


def test_the_moments_are_derivatives() -> None:
    scores, tokens = drawn(1, 9, 1.0)[0]
    scores[0, 3], tokens[0] = -torch.inf, 0
    beta = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    for place in range(9):
        finite = torch.isfinite(scores[place])
        own = torch.logsumexp(beta * scores[place][finite], 0) - beta * scores[place, tokens[place]]
        (first,) = torch.autograd.grad(own, beta, create_graph=True)
        (second,) = torch.autograd.grad(first, beta)
        found = moments(scores, tokens, [0.8])
        assert [float(part[0, place]) for part in found[:3]] == pytest.approx(
            [value.item() for value in (own, first, second)]
        )


def test_temperature_makes_the_model_calibrated() -> None:
    found = fitted(drawn(300, 20, 0.5, seed=4))
    assert found.low < 0.5 < found.high
    assert found.low > 0.45
    assert found.before.ece > 0.1
    assert found.after.ece < 0.02
    assert found.after.brier < found.before.brier


def test_texts_of_one_prompt_are_one_cluster() -> None:
    """Each text twice says no more than once."""
    texts = drawn(30, 10, 0.8, seed=5)
    once, twice = fitted(texts), fitted([*texts, *texts], [*range(30), *range(30)])
    apart = fitted([*texts, *texts])
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), rel=1e-6)
    assert apart.high - apart.low < 0.75 * (once.high - once.low)
    assert once.lines()[0].endswith("(sandwich over texts; 30 texts, 300 tokens)")
    assert twice.lines()[0].endswith("(sandwich over 30 prompts; 60 texts, 600 tokens)")


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "least"), [(40, 0.92), (10, 0.89)])
def test_coverage_where_every_prompt_has_a_temperature_of_its_own(clusters: int, least: float) -> None:
    """The truth is the minimum over very many prompts; intervals that took tokens for independent would cover far less."""
    truth = fitted(drawn(2000, 15, 0.8, seed=99, spread=0.4)).temperature
    found = [fitted(drawn(clusters, 15, 0.8, seed=seed, spread=0.4)) for seed in range(200)]
    covered = np.mean([one.low < truth < one.high for one in found])
    assert least < covered < 0.99, covered


def fewer(texts: Texts, change: Any) -> Texts:
    return [(change(scores, tokens), tokens) for scores, tokens in texts]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([(s, s.argmax(-1)) for s, _ in drawn(5, 6, 1.0)], "most likely one, for which T -> 0 (greedy) is best"),
        ([(s, s.argmin(-1)) for s, _ in drawn(5, 6, 1.0)], "for which T -> infinity is best"),
        ([(torch.zeros(4, 5), torch.arange(4))], "no temperature changes anything"),
        ([(torch.full((2, 3), torch.nan), torch.tensor([0, 1]))], "text 1: the model gives NaN"),
        (
            [*drawn(1, 3, 1.0), (torch.tensor([[0.0, 1.0], [0.0, -torch.inf]]), torch.tensor([0, 1]))],
            "text 2: its token 2 has probability 0 at every temperature",
        ),
        ([(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long))], "the references have no tokens"),
    ],
)
def test_no_temperature(texts: Texts, message: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        fitted(texts)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_token_gives_a_temperature_without_interval() -> None:
    found = fitted(
        [(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([1])), (torch.tensor([[2.0, 0.0]]), torch.tensor([0]))]
    )
    assert np.isnan(found.low)
    assert found.reason == "texts of 2 prompts say too little; it takes 4"
    assert "no interval: texts of 2 prompts" in found.lines()[0]


@pytest.fixture(scope="module")
def fox() -> LocalEngine:
    return LocalEngine(AutoModelForCausalLM.from_pretrained(FOX_PATH).eval(), AutoTokenizer.from_pretrained(FOX_PATH))


PROMPTS = [
    "The fox",
    "One day the owl",
    "A hare",
    "Once there was",
    "The bear",
    "The wolf and the",
    "In the forest",
    "Long ago",
]


@pytest.fixture(scope="module")
def tales(fox: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of fox at T = 0.7, six of each of eight prompts."""
    file = tmp_path_factory.mktemp("tales") / "tales.jsonl"
    torch.manual_seed(3)
    rows = []
    for prompt in PROMPTS:
        ids = fox.tokenizer(prompt, return_tensors="pt")
        drawn_ids = fox.model.generate(
            **ids, do_sample=True, temperature=0.7, top_k=0, max_new_tokens=24, num_return_sequences=6
        )
        texts = fox.tokenizer.batch_decode(drawn_ids[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        rows += [{"prompt": prompt, "text": text} for text in texts]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_texts_of_fox_at_0_7(tales: Path, tmp_path: Path) -> None:
    code, out, told = run(str(tales), "--out", str(tmp_path / "cold.yaml"))
    assert (code, told) == (0, "")
    policy = read_yaml(tmp_path / "cold.yaml").data["policies"][0]
    assert policy["kind"] == "fixed"
    assert policy["temperature"] == pytest.approx(0.7, abs=0.07)
    assert out == (tmp_path / "cold.yaml").read_text(encoding="utf-8")
    assert "(sandwich over 8 prompts; 48 texts, " in out
    low, high = (float(word) for word in out.split("interval ")[1].split(" (")[0].split(" to "))
    assert low < 0.7 < high


def test_batches_give_what_single_texts_give(fox: LocalEngine, tales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = tokenized(reading.read_references(str(tales))[:9], fox)
    together = held.read([0.5, 1.0])
    monkeypatch.setattr(reading, "MOST_ROWS", 1)
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    for one, other in zip(held.read([0.5, 1.0]), together, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-4)
    text = held.texts[4]
    scores = fox.model(torch.tensor([text.ids])).logits[0, text.prompt - 1 : -1].detach()
    own = moments(scores, torch.tensor(text.ids[text.prompt :]), [0.5, 1.0])
    np.testing.assert_allclose(own.loss, together[4].loss, atol=1e-4)


def test_only_the_reference_counts(fox: LocalEngine) -> None:
    """The prompt is the beginning that both have; what stands alone is scored from its second token on."""
    held = tokenized(
        [Reference("The fox", " ran home."), Reference(None, "The fox ran home."), Reference("The fox", "")], fox
    )
    ids = fox.tokenizer("The fox ran home.")["input_ids"]
    assert [text.ids for text in held.texts] == [tuple(ids), tuple(ids)]
    assert held.texts[0].prompt == len(fox.tokenizer("The fox")["input_ids"])
    assert held.texts[1].prompt == 1
    assert (held.left_out, held.clusters) == (1, [0, 1])


def test_chats_go_through_the_template_and_chinese_is_text() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}?{% endfor %}"
    engine = LocalEngine(tiny_llama(), tokenizer)
    chat = [{"role": "user", "content": "ab"}]
    held = tokenized([Reference(chat, "cd"), Reference(chat, "ef"), Reference("敏捷的", "狐狸")], engine)
    assert [(text.prompt, len(text.ids)) for text in held.texts] == [(3, 5), (3, 5), (3, 5)]
    assert held.clusters == [0, 0, 1]
    assert len(held.read([1.0])) == 3


def test_models_and_texts_that_do_not_go(fox: LocalEngine) -> None:
    with pytest.raises(ModelError, match="decoder-only model, and this one is an encoder-decoder"):
        tokenized([Reference(None, "ab")], LocalEngine(tiny_t5(), tiny_tokenizer()))
    with pytest.raises(ModelError, match=r"row 2: has 3000 tokens, but the model's context holds 256"):
        tokenized([Reference(None, "ab"), Reference(None, "ab" * 1500)], LocalEngine(tiny_llama(), tiny_tokenizer()))
    with pytest.raises(CalibrationError, match="no tokens that the model could have written"):
        tokenized([Reference("The fox", "")], fox)
    with pytest.raises(ModelError, match="has no chat template"):
        tokenized([Reference([{"role": "user", "content": "ab"}], "x")], fox)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.jsonl", "--text-column", "answer"], "row 1: there is no column 'answer'; columns: prompt, text"),
        (["x.jsonl", "--prompt-column", "question"], "row 1: there is no column 'question'; columns: prompt, text"),
        (["y.jsonl"], "y.jsonl: no such file"),
        (["number.jsonl"], "row 1: 'text' has to be a text, but is 5"),
        (["empty.txt"], "empty.txt: holds no texts"),
        (["x.jsonl", "--model", " "], "--model: has to name a model, but is ' '"),
        (["x.jsonl", "--model", "nowhere/at-all"], "nowhere/at-all"),
        (["x.jsonl", "--out", "no/folder/a.yaml"], "a.yaml: cannot be written: No such file or directory"),
    ],
)
def test_refused(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.jsonl").write_text('{"prompt": "The fox", "text": " ran home to the old dog."}\n')
    Path("number.jsonl").write_text('{"text": 5}\n')
    Path("empty.txt").write_text("\n")
    code, _, told = run(*arguments)
    assert code == 2
    assert message in told
    assert told.count("\n") == 1
