"""The explorer without its page: forms from models, the experiment on the screen, texts and distributions, markup."""

from __future__ import annotations

import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from temp_processors.audit.checkpoint import with_checkpoint
from temp_processors.config.loading import load_config
from temp_processors.config.presets import preset
from temp_processors.config.yaml_lines import write_yaml
from temp_processors.engines.engine import ModelError
from temp_processors.engines.local import LocalEngine
from temp_processors.explore import markup
from temp_processors.explore.forms import (
    FormError,
    column_mapping,
    form,
    offered_presets,
    policy_kinds,
    policy_mapping,
    preset_values,
)
from temp_processors.explore.live import (
    NextToken,
    Text,
    Token,
    prompt_ids,
    stream,
)
from temp_processors.explore.loading import draws_as_typed, load
from temp_processors.explore.screen import ScreenError, as_python, screen_config
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import Temperature, TokenIds
from temp_processors.policies.kinds import KINDS, policy_model
from temp_processors.report.tokens import Piece
from tests.explore.explore_page import SETTINGS, page_values, screen, start

HOSTILE = '</script><img src=x onerror="window.hacked=1">'
OFFERED = sorted(policy_kinds())


@pytest.fixture(scope="module")
def fox() -> LocalEngine:
    return load("fox")


@pytest.mark.parametrize("kind", OFFERED)
def test_the_first_form_of_every_kind_is_a_policy_that_runs_and_loads(
    kind: str, fox: LocalEngine, tmp_path: Path
) -> None:
    data = screen(with_checkpoint(start(kind), fox.generation_config), max_new_tokens=3)
    config = screen_config(data)
    (text,) = list(stream(fox, config))[-1]
    assert 1 <= len(text.tokens) <= 3
    (tmp_path / "page.yaml").write_text(write_yaml(data), encoding="utf-8")
    assert load_config(tmp_path / "page.yaml") == config


class MadeUpLogitsWarper(PolicyLogitsWarper):
    """A policy that the page has never seen."""

    def __init__(
        self,
        heat: Temperature,
        count: int,
        mode: Literal["a", "b"],
        marks: TokenIds,
        rest: PolicyLogitsWarper,
        floor: Temperature | None = None,
        name_of_it: str = "x",
    ) -> None:
        super().__init__()


def test_a_new_kind_appears_by_itself() -> None:
    fields = [(field.name, field.widget, field.start) for field in form(policy_model("made_up", MadeUpLogitsWarper))]
    assert fields == [
        ("heat", "slider", 1.0),
        ("count", "whole", 8),
        ("mode", "choice", "a"),
        ("marks", "yaml", "[0]"),
        ("rest", "yaml", "{kind: fixed, temperature: 1}"),
        ("floor", "yaml", None),
        ("name_of_it", "text", "x"),
    ]


def test_all_kinds_of_one_text_are_offered() -> None:
    assert set(policy_kinds()) == set(KINDS) - {"rows", "monte_carlo"}


def test_blanks_and_defaults_are_left_out() -> None:
    typed = {"shape": "linear", "start": "2", "end": "1.0", "steps": "8", "points": " ", "decay": None, "warmup": 0.0}
    expected = {"kind": "scheduled", "shape": "linear", "start": 2, "end": 1.0, "steps": 8}
    assert policy_mapping("scheduled", typed) == expected
    assert isinstance(policy_mapping("scheduled", {"warmup": 3.0})["warmup"], int)


@pytest.mark.parametrize("typed", ["{kind: fixed", "{kind: fixed, kind: fixed}", "[" * 1999, "&a [*a]", "x" * 9999])
def test_yaml_that_cannot_be_read_names_its_field(typed: str) -> None:
    with pytest.raises(FormError, match=r"^policy:"):
        policy_mapping("truncate_then_temper", {"policy": typed, "top_p": 0.5})


def test_a_column_reads_the_fields_of_its_kind_only() -> None:
    values = page_values("dynamic", temperature=0.75)[SETTINGS:]
    assert column_mapping(values) == {"kind": "dynamic", "temperature": 0.75, "range": 0.5}


@pytest.mark.parametrize(
    ("policy", "changes", "said"),
    [
        ({"kind": "fixed", "temperature": -1}, {}, "A: temperature: has to be a number >= 0 (0 is greedy), but is -1"),
        ({"kind": "fixed"}, {}, "A: temperature: is required and missing"),
        (
            {"kind": "dynamic", "temperature": 1, "rang": 1},
            {},
            "A: rang: not a field of 'dynamic' (did you mean 'range'?)",
        ),
        ({"kind": "fixed", "temperature": 1}, {"prompt": " "}, "prompt: has to hold some text, but is ' '"),
        ({"kind": "fixed", "temperature": 1}, {"prompt": "\ud83d"}, "prompt: holds half a character"),
    ],
)
def test_what_is_no_experiment_is_said(policy: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScreenError) as error:
        screen_config(screen(policy, **changes))
    assert str(error.value).startswith(said) or said in str(error.value)


@settings(max_examples=60, deadline=None)
@example(prompt="0\x85\u2028a", temperature=1.0, seed=0)
@given(prompt=st.text(min_size=1).filter(str.strip), temperature=st.floats(0, 5), seed=st.integers(0, 2**53))
def test_the_yaml_is_the_screen_whatever_was_typed(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, temperature: float, seed: int
) -> None:
    data = screen({"kind": "fixed", "temperature": temperature}, prompt=prompt, seed=seed)
    file = tmp_path_factory.mktemp("yaml") / "page.yaml"
    file.write_bytes(write_yaml(data).encode())
    assert load_config(file) == screen_config(data)


class Texts(HTMLParser):
    """Tags and text of a piece of markup."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_text_stays_text() -> None:
    def name(token: int) -> Piece:
        return Piece(HOSTILE, HOSTILE)

    text = Text([Token(1, 1.0, 1.0, 1.0, -1.0, -1.0)], "length")
    parts = [
        markup.prose(HOSTILE),
        markup.message(HOSTILE),
        markup.samples([HOSTILE]),
        markup.strip(text, name, "entropy", (0, 1)),
        markup.bars(NextToken(1.0, 1.0, 1.0, [1], [0.5, 0.5], [0.5, 0.5]), name),
    ]
    for part in parts:
        assert not {"img", "script"} & set(Texts(part).tags)
        assert HOSTILE in Texts(part).text


@given(st.text())
def test_prose_keeps_every_visible_character(text: str) -> None:
    kept = markup.HIDDEN.sub(lambda found: f"U+{ord(found[0]):04X}", text.replace("\r\n", "\n"))
    assert Texts(markup.prose(text)).text == kept


def test_a_column_without_a_temperature_is_not_coloured_by_it() -> None:
    text = Text([Token(1, 1.0, 1.0, math.nan, -1.0, -1.0)])
    assert markup.scale_of([text], "temperature") == (0.0, 0.0)
    assert "background" not in markup.strip(text, lambda token: Piece("a", "a"), "temperature", (0.0, 0.0))
    assert "none" in markup.strip(text, lambda token: Piece("a", "a"), "temperature", (0.0, 0.0))


@pytest.mark.parametrize("level", range(0, 101, 5))
def test_tokens_are_legible_on_every_colour(level: int) -> None:
    paint = markup._paint(level / 100, 0.0, 1.0)
    red, green, blue = map(int, re.findall(r"\d+", paint)[:3])
    lights = sorted([markup._luminance(red, green, blue), 0.0 if paint.endswith("#000") else 1.0])
    assert (lights[1] + 0.05) / (lights[0] + 0.05) > 4.5


@pytest.mark.parametrize("name", offered_presets())
def test_a_preset_is_the_policy_of_its_name(name: str) -> None:
    values = preset_values(name)
    kind = next(iter(values))[0]
    expected = KINDS[kind].model_validate(preset(name))
    assert (
        KINDS[kind].model_validate(policy_mapping(kind, {field: value for (_, field), value in values.items()}))
        == expected
    )


def test_a_system_prompt_makes_a_chat(fox: LocalEngine) -> None:
    data = screen(start("fixed"), prompt="hi", system="be brief")
    assert screen_config(data).system_prompt == "be brief"
    assert "apply_chat_template" in as_python(data, screen_config(data))
    with pytest.raises(ModelError, match="no chat template"):
        prompt_ids(fox, screen_config(data))


def test_scores_have_intervals_and_verdicts() -> None:
    draw = random.Random(0)
    sizes = {"A": 14, "B": 40}
    texts = {
        name: [" ".join(f"w{draw.randrange(size)}" for _ in range(12)) for _ in range(16)]
        for name, size in sizes.items()
    }
    found = Texts(markup.scores(texts, ["distinct_2"], 16, {"A": "A: T = 0.5", "B": "B: <T>"})).text
    first, second = found.partition("16 of 16")[0].partition("A: T = 0.5")[2].split("B: <T>")
    assert re.fullmatch(r"0\.\d+ ±0\.\d+", first)
    assert re.fullmatch(r"0\.\d+ (±0\.\d+|\(.+\))higher", second)


@pytest.mark.parametrize(
    ("device", "size", "wanted"),
    [("cpu", 4e6, True), ("cpu", 135e6, False), ("cuda", 135e6, True), ("cuda", 8e9, False)],
)
def test_large_models_draw_when_they_are_asked(device: str, size: float, wanted: bool) -> None:
    model = SimpleNamespace(device=torch.device(device), num_parameters=lambda: size)
    assert draws_as_typed(model) is wanted
