"""`temp-processors list`: every kind with its parameters, every metric, and a word that is neither."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.metrics.catalogue import METRIC_NAMES
from temp_processors.policies.kinds import KINDS


def listed(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 0, result.output
    return [line for line in result.output.splitlines() if not line.startswith(" ")]


def test_every_kind_with_its_parameters() -> None:
    *lines, empty, symbols = listed("policies")
    assert not empty
    assert symbols.startswith("l are the scores of a row")
    assert [line.split(":")[0] for line in lines] == list(KINDS)
    for line, model in zip(lines, KINDS.values(), strict=True):
        assert all(name in line for name in model.model_fields if name != "kind")
    assert "dynamic: temperature, range, exponent 1.0" in lines
    assert "p_less: no parameters" in lines


def test_every_metric_that_a_configuration_may_list() -> None:
    lines = listed("metrics")
    assert [line.split(":")[0] for line in lines] == list(METRIC_NAMES)
    assert "self_bleu_4: with an interval, larger values: less diverse" in lines
    assert "mtld: without an interval, larger values: more diverse" in lines


@pytest.mark.parametrize(("arguments", "message"), [(["polices"], "'polices'"), ([], "Missing argument")])
def test_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 2
    assert message in result.output
