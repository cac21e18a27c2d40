"""Traces of a real run: other temperatures against the model itself, and estimates with less noise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison.reweighting import effective_size, reweighted, reweighted_curve
from temp_processors.comparison.traced import RANGE, cross_entropies, grouped, read_traced, tail_at
from temp_processors.config.loading import load_config
from temp_processors.datafiles import RowsError
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.metrics import entropy_rate, expected_perplexity
from temp_processors.report.curves import curves
from temp_processors.runs.lenient import load_run
from temp_processors.trace.tail import TAIL_TEMPERATURES, interpolate_tail

SETTINGS = ["samples_per_prompt=24", "max_new_tokens=10", "metrics=[distinct_2]", "prompts=[The fox]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "fox"
    run_experiment(load_config("fox", [*SETTINGS, "traces={top_k: 3, samples_per_policy: 24}"], out=path))
    return path


@pytest.fixture(scope="module")
def log_probs(run: Path) -> dict[str, list[torch.Tensor]]:
    """Untempered log-probabilities of every step over the vocabulary, straight from the model, by policy and text."""
    model = AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()
    tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
    found = {}
    for name, texts in read_traced(run).items():
        rows = []
        for text in texts:
            prompt = tokenizer(text.sample.prompt)["input_ids"]
            with torch.no_grad():
                logits = model(torch.tensor([prompt + text.token_ids.tolist()])).logits[0, len(prompt) - 1 : -1]
            rows.append(logits.double().log_softmax(-1))
        found[name] = rows
    return found


def at(log_probs: torch.Tensor, temperature: float) -> torch.Tensor:
    return (log_probs / temperature).log_softmax(-1)


def test_log_probabilities_at_another_temperature_are_those_of_the_model(
    run: Path, log_probs: dict[str, list[torch.Tensor]]
) -> None:
    """Three logits a step are recorded; tokens from outside of them are among those of T = 1.5."""
    outside = 0
    for name, texts in read_traced(run).items():
        for text, rows in zip(texts, log_probs[name], strict=True):
            outside += int((text.top_ids != text.token_ids[:, None]).all(axis=1).sum())
            drawn = torch.tensor(text.token_ids)[:, None]
            for temperature in (0.1, 0.7, 1.0, 1.3, 5.0):
                expected = float(at(rows, temperature).gather(1, drawn).sum())
                assert text.log_probability(temperature) == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert outside > 20


def test_scores_at_another_temperature_are_those_of_weights_from_the_model(
    run: Path, log_probs: dict[str, list[torch.Tensor]]
) -> None:
    traced = read_traced(run)
    for held in reweighted(run, 0.9):
        texts, rows = traced[held.policy], log_probs[held.policy]
        drawn = [torch.tensor(text.token_ids)[:, None] for text in texts]
        changes = [
            float((at(own, 0.9) - at(own, held.temperature)).gather(1, ids).sum())
            for own, ids in zip(rows, drawn, strict=True)
        ]
        weights = np.exp(np.array(changes) - max(changes))
        assert held.effective == pytest.approx(weights.sum() ** 2 / np.square(weights).sum(), rel=1e-3)
        assert (held.refusal is None) == (held.effective >= len(texts) / 4)
        if held.refusal is None:
            lengths = np.array([len(text.sample.text.split()) for text in texts])
            cost = np.array([-float(own.gather(1, ids).sum()) for own, ids in zip(rows, drawn, strict=True)])
            steps = np.array([len(text.token_ids) for text in texts])
            assert held.scores["mean_length"] == pytest.approx((weights * lengths).sum() / weights.sum(), rel=1e-3)
            pooled = math.exp((weights * cost).sum() / (weights * steps).sum())
            assert held.scores["perplexity"] == pytest.approx(pooled, rel=1e-3)
    by_policy = {held.policy: held for held in reweighted(run, 0.9)}
    assert by_policy["T=1.0"].refusal is None
    assert by_policy["T=0.1"].scores == {} or by_policy["T=0.1"].effective >= 6
    same = {held.policy: held for held in reweighted(run, 1.0)}["T=1.0"]
    assert same.effective == pytest.approx(24)


def test_cross_entropies_are_those_of_the_model(run: Path, log_probs: dict[str, list[torch.Tensor]]) -> None:
    for name, temperature in (("T=0.1", 0.1), ("T=1.0", 1.0), ("T=1.5", 1.5)):
        texts = read_traced(run)[name]
        found = cross_entropies(texts)
        assert found is not None
        for values, rows in zip(found, log_probs[name], strict=True):
            expected = -(at(rows, temperature).exp() * rows).sum(-1)
            np.testing.assert_allclose(values, expected.numpy(), atol=2e-4)
        rate = entropy_rate([text.entropy_after for text in texts])
        assert rate.counts["texts"] == 24
        if temperature == 1.0:
            assert expected_perplexity(found).value == pytest.approx(math.exp(rate.value), rel=1e-3)


def test_the_mean_of_a_step_varies_less_than_its_draw(run: Path) -> None:
    """By text: sums of what tokens cost on average against sums of what the drawn ones cost."""
    for name in ("T=1.0", "T=1.5"):
        texts = read_traced(run)[name]
        costs = cross_entropies(texts)
        assert costs is not None
        steps = np.array([len(text.token_ids) for text in texts])
        means, drawn = np.array([cost.sum() for cost in costs]), np.array([-text.log_prob.sum() for text in texts])
        spread = [(values - values.sum() / steps.sum() * steps).var() for values in (means, drawn)]
        assert spread[0] < spread[1]


def test_tails_are_interpolated_as_in_the_trace(run: Path) -> None:
    assert RANGE == TAIL_TEMPERATURES
    tails = [tail for text in read_traced(run)["T=1.5"][:4] for tail in text.tails]
    for temperature in (0.1, 0.33, 1.0, 5.0):
        found = tail_at(grouped(tails), len(tails), np.full(len(tails), temperature))
        for tail, value in zip(tails, found, strict=True):
            expected = (
                -math.inf
                if tail is None
                else float(
                    interpolate_tail(
                        torch.tensor([tail], dtype=torch.float64), torch.tensor([temperature], dtype=torch.float64)
                    )
                )
            )
            assert value == pytest.approx(expected, abs=1e-9)


def test_effective_size() -> None:
    assert effective_size(np.zeros(28)) == pytest.approx(28)
    assert effective_size(np.log([1.0, 1e-9, 1e-9])) == pytest.approx(1)


def test_the_command_shows_both_and_refuses_in_a_line(run: Path, tmp_path: Path) -> None:
    def invoke(*arguments: str) -> tuple[int, str]:
        done = CliRunner(env={"COLUMNS": "140"}).invoke(app, ["compare", str(run), *arguments])
        return done.exit_code, " ".join((done.stdout + done.stderr).split())

    code, shown = invoke("--metric", "distinct_2")
    assert code == 0
    assert "expected perplexity" in shown
    code, shown = invoke("--at", "0.9")
    assert code == 0
    assert "at T = 0.9, reweighted" in shown
    code, shown = invoke("--at", "0.1")
    assert code == 0
    assert "T=1.5: effective sample size" in shown
    assert "of 24 texts, below 6 (N / 4): no scores" in shown
    for arguments, message in [
        (("--at", "0.05"), "`at` has to lie in [0.1, 5], where traces reach, but is 0.05"),
        (("--at", "0.9", "--metric", "self_bleu_4"), "'self_bleu_4' cannot be reweighted: only means over texts can"),
        (("--at", "0.9", "--metric", "distinct_2"), "'distinct_2' cannot be reweighted"),
    ]:
        code, shown = invoke(*arguments)
        assert code == 2
        assert message in shown
    with pytest.raises(RowsError, match=r"holds no traces\.parquet"):
        read_traced(tmp_path)


def test_a_curve_has_what_every_policy_says_that_reaches_a_temperature(run: Path) -> None:
    curve = reweighted_curve(run, ["perplexity", "mean_length"])
    temperatures = [temperature for temperature, _ in curve]
    assert temperatures == sorted(temperatures)
    assert {0.1, 0.5, 1.0, 1.5} <= set(temperatures)
    for temperature, said in curve[::5]:
        alone = {
            found.policy: found for found in reweighted(run, temperature, ["perplexity", "mean_length"]) if found.scores
        }
        assert {held.policy for held in said} == set(alone)
        assert all(held.effective >= held.texts / 4 for held in said)
        assert all(held.scores == pytest.approx(alone[held.policy].scores) for held in said)


def test_the_curve_of_the_page_passes_through_what_was_drawn(run: Path) -> None:
    loaded = load_run(run)
    scores = {name: {"perplexity": {"value": 2.0 + place}} for place, name in enumerate(loaded.temperatures)}
    points = {point[0]: point for point in curves(replace(loaded, metrics=scores))["perplexity"]}
    for name, temperature in loaded.temperatures.items():
        assert points[temperature][1] == pytest.approx(scores[name]["perplexity"]["value"], rel=0.02)
    assert all(effective >= texts / 4 for _, _, effective, texts in points.values())
    assert curves(replace(loaded, traces={})) == {}
    assert set(curves(replace(loaded, metrics=scores, config={**loaded.config, "tokenizer": "model"}))) == {
        "perplexity"
    }
