"""The explorer without its page: forms from models, the experiment on the screen, texts and distributions, markup."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from temp_processors.config import load_config
from temp_processors.experiment.models import LoadedModel
from temp_processors.explore import markup
from temp_processors.explore.forms import FormError, column_mapping, field_keys, form, policy_kinds, policy_mapping
from temp_processors.explore.handlers import Handlers, paced
from temp_processors.explore.live import (
    NextToken,
    Text,
    Token,
    built_policies,
    draw_samples,
    next_scores,
    next_token,
    prompt_ids,
    stream,
)
from temp_processors.explore.loading import load
from temp_processors.explore.screen import COLUMNS, ScreenError, as_python, as_yaml, screen_config, screen_data
from temp_processors.fixed import FixedTemperatureLogitsWarper
from temp_processors.policy_base import BasePolicy
from temp_processors.policy_config import PolicyConfig
from temp_processors.policy_fields import Temperature, TokenIds
from temp_processors.report.tokens import Piece

HOSTILE = '</script><img src=x onerror="window.hacked=1">'
PROMPT = "The quick brown fox"
KINDS = sorted(policy_kinds())


@pytest.fixture(scope="module")
def fox() -> LoadedModel:
    return load("fox")


def start(kind: str) -> dict[str, Any]:
    """The policy that a form describes before anybody touches it."""
    return policy_mapping(kind, {field.name: field.start for field in form(policy_kinds()[kind])})


def screen(*policies: dict[str, Any], prompt: str = PROMPT, **changes: Any) -> dict[str, Any]:
    values = {"max_new_tokens": 12, "seed": 1, "samples": 6, **changes}
    return screen_data("fox", prompt, dict(zip(COLUMNS, policies, strict=False)), **values)


def page_values(*kinds: str, prompt: str = PROMPT, tokens: int = 8, **typed: Any) -> list[Any]:
    """What the page sends: settings, then kind and fields of every column."""
    starts = [field.start for model in policy_kinds().values() for field in form(model)]
    fields = [typed.get(name, value) for (_, name), value in zip(field_keys(), starts, strict=True)]
    return [prompt, len(kinds), tokens, 0, 4, *(value for kind in kinds for value in (kind, *fields))]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_form_of_every_kind_is_a_policy_that_runs_and_loads(
    kind: str, fox: LoadedModel, tmp_path: Path
) -> None:
    data = screen(start(kind), max_new_tokens=3)
    config = screen_config(data)
    (text,) = list(stream(fox, config))[-1]
    assert 1 <= len(text.tokens) <= 3
    (tmp_path / "page.yaml").write_text(as_yaml(data), encoding="utf-8")
    assert load_config(tmp_path / "page.yaml") == config


class MadeUpPolicy(BasePolicy):
    """A kind that the page has never seen."""

    warper = FixedTemperatureLogitsWarper
    kind: Literal["made_up"] = "made_up"
    heat: Temperature
    floor: Temperature | None = None
    count: int
    mode: Literal["a", "b"]
    tags: TokenIds
    rest: PolicyConfig
    name_of_it: str = "x"


def test_a_new_kind_appears_by_itself() -> None:
    fields = [(field.name, field.widget, field.start) for field in form(MadeUpPolicy)]
    assert fields == [
        ("heat", "slider", 1.0),
        ("floor", "yaml", None),
        ("count", "whole", 8),
        ("mode", "choice", "a"),
        ("tags", "yaml", "[0]"),
        ("rest", "yaml", "{kind: fixed, temperature: 1}"),
        ("name_of_it", "text", "x"),
    ]


def test_all_kinds_but_rows_are_offered() -> None:
    assert len(KINDS) == 14
    assert "rows" not in KINDS


def test_blanks_and_defaults_are_left_out() -> None:
    typed = {"shape": "linear", "start": "2", "end": "1.0", "steps": "8", "points": " ", "decay": None, "warmup": 0.0}
    expected = {"kind": "scheduled", "shape": "linear", "start": 2, "end": 1.0, "steps": 8}
    assert policy_mapping("scheduled", typed) == expected
    assert isinstance(policy_mapping("scheduled", {"warmup": 3.0})["warmup"], int)


@pytest.mark.parametrize("typed", ["{kind: fixed", "{kind: fixed, kind: fixed}", "*nobody"])
def test_yaml_that_cannot_be_read_names_its_field(typed: str) -> None:
    with pytest.raises(FormError, match=r"^policy:1: "):
        policy_mapping("truncate_then_temper", {"policy": typed, "top_p": 0.5})


def test_a_column_reads_the_fields_of_its_kind_only() -> None:
    values = page_values("dynamic", temperature=0.75)[5:]
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
    file.write_bytes(as_yaml(data).encode())
    assert load_config(file) == screen_config(data)


def test_the_snippet_prints_the_texts_of_the_page(fox: LoadedModel) -> None:
    data = screen(start("fixed"), start("scheduled"), start("top_p_decay"), prompt="\"A 'fox'\"\n\\ {name} said")
    config = screen_config(data)
    texts = list(stream(fox, config))[-1]
    expected = "".join(f"{name}:{decoded(fox, text)}\n" for name, text in zip("ABC", texts, strict=True))
    done = subprocess.run(
        [sys.executable, "-c", as_python(data, config)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == expected


def decoded(loaded: LoadedModel, text: Text) -> str:
    ids = [token.token_id for token in text.tokens]
    return str(loaded.tokenizer.decode(ids, skip_special_tokens=True))


def test_a_streamed_text_is_sample_0_of_the_experiment(fox: LoadedModel) -> None:
    config = screen_config(screen(start("fixed"), start("dynamic"), start("phase"), max_new_tokens=40))
    texts = list(stream(fox, config))[-1]
    parts = [{name: list(group) for name, group in part.items()} for part in draw_samples(fox, config)]
    assert [decoded(fox, text) for text in texts] == [parts[-1][name][0] for name in "ABC"]
    assert [[len(group) for group in part.values()] for part in parts] == [[4] * 3, [6] * 3]


def test_every_step_hands_over_one_more_token(fox: LoadedModel) -> None:
    config = screen_config(screen(start("fixed"), start("fixed"), max_new_tokens=5))
    assert [[len(t.tokens) for t in texts] for texts in map(list, stream(fox, config))] == [[n, n] for n in range(1, 6)]


def test_a_text_that_ends_stays_ended(fox: LoadedModel) -> None:
    config = screen_config(screen({"kind": "fixed", "temperature": 0}, start("fixed"), max_new_tokens=200))
    texts = list(stream(fox, config))[-1]
    for text in texts:
        assert text.finish == "stop"
        assert [t.token_id for t in text.tokens].count(fox.eos_token_ids[0]) == 1


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 4.0])
def test_the_next_token_is_the_softmax_at_the_temperature(fox: LoadedModel, temperature: float) -> None:
    config = screen_config(screen({"kind": "fixed", "temperature": temperature}))
    ids = prompt_ids(fox, config)
    with torch.inference_mode():
        logits = fox.model(ids).logits[0, -1].double()
    seen = next_token(built_policies(fox, config, ids.shape[-1])[0], ids, next_scores(fox, ids))
    exact = (logits / temperature).softmax(-1) if temperature else torch.eye(len(logits))[logits.argmax()]
    assert seen.tempered[:-1] == pytest.approx(exact[seen.token_ids].tolist(), abs=1e-6)
    assert seen.untempered[:-1] == pytest.approx(logits.softmax(-1)[seen.token_ids].tolist(), abs=1e-6)
    assert sum(seen.tempered) == pytest.approx(1)
    assert seen.temperature == pytest.approx(temperature)


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
    kept = markup.INVISIBLE.sub(lambda found: f"U+{ord(found[0]):04X}", text.replace("\r\n", "\n"))
    assert Texts(markup.prose(text)).text == kept


def test_a_column_without_a_temperature_is_not_coloured_by_it() -> None:
    text = Text([Token(1, math.nan, 1.0, 1.0, -1.0, -1.0)])
    assert markup.scale_of([text], "temperature") == (0.0, 0.0)
    assert "background" not in markup.strip(text, lambda token: Piece("a", "a"), "temperature", (0.0, 0.0))
    assert "none" in markup.strip(text, lambda token: Piece("a", "a"), "temperature", (0.0, 0.0))


def test_two_visitors_of_one_model_do_not_mix(fox: LoadedModel) -> None:
    act = Handlers(fox, "fox")
    values = page_values("fixed", prompt="Once"), page_values("dynamic", "fixed", prompt="The quick brown fox")
    alone = [list(act.generate("entropy", *value))[-1][1:] for value in values]
    steps = zip(*(act.generate("entropy", *value) for value in values), strict=True)
    assert [step[1:] for step in list(steps)[-1]] == alone


def test_a_fast_model_waits_for_the_browser_and_then_passes_over_steps() -> None:
    def steps() -> Iterator[list[Text]]:
        text = Text()
        for number in range(2000):
            text.tokens.append(Token(number, 1.0, 1.0, 1.0, -1.0, -1.0))
            text.finish = "length" if number == 1999 else ""
            yield [text]

    lengths = [len(text.tokens) for (text,) in paced(steps())]
    assert lengths[:100] == [*range(1, 101)]
    assert len(lengths) < 500
    assert lengths[-1] == 2000


def test_scores_are_of_the_metrics_they_name(fox: LoadedModel) -> None:
    from temp_processors.metrics import distinct_n

    act = Handlers(fox, "fox")
    *_, last = act.measure(*page_values("fixed"))
    texts = list(draw_samples(fox, act.read(page_values("fixed"))[1]))[-1]["A"]
    assert f'data-value="{distinct_n(texts, n=2).value!r}"' in last[1]
    assert 'data-texts="4"' in last[1]


@pytest.mark.parametrize("typed", [{"temperature": None}, {"policy": "["}])
def test_bad_input_is_a_message_everywhere(fox: LoadedModel, typed: dict[str, Any]) -> None:
    act, values = Handlers(fox, "fox"), page_values("truncate_then_temper" if "policy" in typed else "fixed", **typed)
    for message in (
        act.look(None, *values)[1],
        next(act.generate("entropy", *values))[1],
        next(act.measure(*values))[0],
    ):
        assert 'role="alert"' in message
        assert "A: " in message


def test_a_wrong_column_leaves_the_others(fox: LoadedModel) -> None:
    values = page_values("fixed", "dynamic", range=-1)
    _, message, yaml, python, *bars = Handlers(fox, "fox").look(None, *values)
    assert "B: range: has to be a number &gt;= 0, but is -1" in message
    assert [bool(part) for part in (yaml, python, *bars)] == [False, False, True, False, False, False]


def test_a_prompt_too_long_for_the_model_is_a_message(fox: LoadedModel) -> None:
    message = Handlers(fox, "fox").look(None, *page_values("fixed", prompt="fox " * 5000))[1]
    assert "the model&#x27;s context holds" in message


def test_the_prompt_is_read_once(fox: LoadedModel) -> None:
    act = Handlers(fox, "fox")
    seen = act.look(None, *page_values("fixed"))[0]
    assert act.look(seen, *page_values("fixed", temperature=0.3))[0] is seen
    assert act.look(seen, *page_values("fixed", prompt="Once"))[0] is not seen
