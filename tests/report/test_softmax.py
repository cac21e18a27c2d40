"""The textbook numbers, against closed forms and torch's own cross-entropy."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from temp_processors.cli.softmax import softmax_command
from temp_processors.report.softmax import log_softmax, softmax_figure, softmax_lines, softmax_numbers

LOGITS = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1, 3.0])
@pytest.mark.parametrize("target", [0, 3])
def test_numbers_equal_torch_in_float64(temperature: float, target: int) -> None:
    scaled = torch.tensor(LOGITS, dtype=torch.float64) / temperature
    p = scaled.softmax(0)
    answer = torch.tensor(target)
    found = softmax_numbers(LOGITS, temperature, target)
    assert found.probabilities == pytest.approx(p.tolist(), abs=1e-15, rel=1e-12)
    assert found.variance == pytest.approx(p.var(correction=0).item(), rel=1e-12)
    assert found.entropy == pytest.approx(torch.special.entr(p).sum().item(), rel=1e-12)
    assert found.cross_entropy == pytest.approx(torch.nn.functional.cross_entropy(scaled, answer).item(), rel=1e-12)
    assert found.double_softmax == pytest.approx(torch.nn.functional.cross_entropy(p, answer).item(), rel=1e-12)


def test_the_wrong_cross_entropy_stays_far_from_zero_when_the_right_one_vanishes() -> None:
    cold = softmax_numbers(LOGITS, 0.1, 3)
    assert cold.cross_entropy == pytest.approx(math.log1p(math.exp(-10) + math.exp(-20) + math.exp(-30)), rel=1e-9)
    assert cold.double_softmax > 0.74


@pytest.mark.parametrize(
    ("logits", "temperature", "probabilities"),
    [
        ([1.0, 5.0, 5.0], 0.0, [0, 1, 0]),
        ([0.0, -math.inf, 0.0], 2.0, [0.5, 0, 0.5]),
        ([1e300, 0.0], 1e-300, [1, 0]),
        ([0.0, 0.0, 0.0, 0.0], 7.0, [0.25] * 4),
    ],
)
def test_limits(logits: list[float], temperature: float, probabilities: list[float]) -> None:
    found = softmax_numbers(logits, temperature, 1)
    assert list(found.probabilities) == probabilities
    assert found.entropy == pytest.approx(-sum(p * math.log(p) for p in probabilities if p))


@pytest.mark.parametrize(
    ("logits", "temperature", "target", "message"),
    [
        ([1.0], 1.0, 0, "at least two numbers"),
        ([1.0, math.nan], 1.0, 0, "finite or -inf"),
        ([-math.inf, -math.inf], 1.0, 0, "at least one finite"),
        ([1.0, 2.0], -1.0, 0, "temperature has to be a finite number >= 0, but is -1.0"),
        ([1.0, 2.0], 1.0, 2, "target has to be an index from 0 to 1, but is 2"),
    ],
)
def test_refusals_name_the_value(logits: list[float], temperature: float, target: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        softmax_numbers(logits, temperature, target)


def test_log_softmax_of_an_overflowing_scale_is_finite() -> None:
    assert log_softmax([0.0, 1000.0], 1.0) == (-1000.0, 0.0)


def test_lines_say_which_number_is_wrong() -> None:
    text = "\n".join(softmax_lines([softmax_numbers(LOGITS, 0.5, 3)], LOGITS, 3))
    assert "0.865 " in text
    assert "p[3]" in text
    assert "wrong number" in text


def run_command(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(softmax_command)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_command_prints_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "s.svg"
    code, output = run_command("--logits", "-1,2", "--temperatures", "1", "--target", "0", "--out", str(picture))
    assert (code, picture.read_text(encoding="utf-8").count("<svg")) == (0, 1)
    assert f"{math.log1p(math.exp(3)):.4g}" in output
    assert "indices count from 0, so p[0] is that of the target" in output
    assert f"picture: {picture}" in output


def test_small_numbers_keep_their_digits() -> None:
    text = "\n".join(softmax_lines([softmax_numbers(LOGITS, 0.1, 3)], LOGITS, 3))
    assert "9.357e-14" in text
    assert "4.54e-05" in text


def test_the_picture_is_drawn_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run_command()
    assert (code, output.endswith("picture: softmax.png\n")) == (0, True)
    assert (tmp_path / "softmax.png").is_file()


def test_the_picture_has_dashed_lines_with_markers_and_the_loss() -> None:
    numbers = [softmax_numbers(LOGITS, t, 3) for t in (1.0, 0.5, 0.1)]
    figure = softmax_figure(numbers, LOGITS, 3)
    lines = figure.axes[0].get_lines()[:3]
    assert [line.get_linestyle() for line in lines] == ["--"] * 3
    assert len({line.get_marker() for line in lines}) == 3
    assert [list(line.get_ydata()) for line in lines] == [list(n.probabilities) for n in numbers]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[1] == "T = 0.5: loss 0.145, entropy 0.455 nats"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--logits", "1,two"], "--logits has to be numbers with commas between them"),
        (["--temperatures", "-1"], "temperature has to be a finite number >= 0"),
        (["--target", "4"], "target has to be an index from 0 to 3, but is 4"),
        (["--out", "picture.gif"], "a picture ends in .png, .svg, .pdf"),
        (["--out", "nowhere/picture.png"], "nowhere: no such folder"),
    ],
)
def test_command_refuses_in_one_line(arguments: list[str], message: str) -> None:
    code, output = run_command(*arguments)
    assert (code, message in output, len(output.strip().splitlines())) == (2, True, 1)
