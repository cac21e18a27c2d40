"""The catalogue of tasks/README.md names every kind of answer and of score, with the options that it has."""

from __future__ import annotations

import re

import pytest
import yaml

from temp_processors.tasks.answers.kinds import ANSWERS
from temp_processors.tasks.scorers.kinds import SCORERS
from temp_processors.tasks.task import Task
from tests.paths import ROOT

README = (ROOT / "temp_processors" / "tasks" / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    part = README.split(f"## {heading}")[1].split("\n## ")[0]
    return {match[1]: match[2] for match in re.finditer(r"^\| `([\w:]+)` \|.*\|(.*)\|$", part, flags=re.MULTILINE)}


@pytest.mark.parametrize(("heading", "kinds"), [("Answers", ANSWERS), ("Scores", SCORERS)])
def test_every_kind_has_a_row_with_its_options(heading: str, kinds: dict[str, type]) -> None:
    found = rows(heading)
    assert set(found) == {"module:function" if kind == "function" else kind for kind in kinds}
    for kind, model in kinds.items():
        for option in re.findall(r"`(\w+)`", found["module:function" if kind == "function" else kind]):
            assert option in {field.alias or name for name, field in model.model_fields.items()}, (kind, option)


def test_the_example_is_a_task() -> None:
    written = yaml.safe_load(README.split("```yaml")[1].split("```")[0])
    task = Task.model_validate(written["task"])
    assert task.references({"answer": "She has 3 * 4 = 12.\n#### 12"}) == ("12",)
