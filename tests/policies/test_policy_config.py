"""Policies as data: every kind from a dict, round trips, and every refusal names its field."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from temp_processors import PolicyConfig, build_policy

ADAPTER = TypeAdapter(PolicyConfig)
FIXED = {"kind": "fixed", "temperature": 0.5}
LINEAR = {"kind": "scheduled", "shape": "linear", "start": 2, "end": 1, "steps": 4}

EVERY_KIND: list[tuple[dict[str, Any], float]] = [
    (FIXED, 0.5),
    ({"kind": "fixed", "temperature": [0.5, 0.5]}, 0.5),
    (LINEAR, 1.75),
    ({"kind": "scheduled", "shape": "piecewise", "points": [[0, 1.0], [2, 0.0]]}, 0.5),
    ({"kind": "annealed", "decay": 10}, 2.2 - math.exp(0.1)),
    ({"kind": "dynamic", "temperature": 1, "range": 0.5}, 1.5),
    ({"kind": "edt", "temperature": 1, "theta": math.log(4), "base": 0.5}, 0.5),
    ({"kind": "entropy_threshold", "low": 0.5, "high": 2}, 2.0),
    ({"kind": "entropy_target", "entropy": 2, "max_temperature": 9}, 9.0),
    ({"kind": "adaptive_sharpening"}, 0.571407),
    ({"kind": "phase", "open_ids": [1], "close_ids": 2, "inside": LINEAR, "outside": FIXED}, 1.75),
    ({"kind": "block_start", "newline_ids": [5], "indent_ids": [1]}, 0.8),
    ({"kind": "product", "policies": [FIXED, LINEAR], "max_temperature": 0.8}, 0.8),
    ({"kind": "rows", "policies": [LINEAR, LINEAR]}, 1.75),
    ({"kind": "truncate_then_temper", "top_k": 3, "policy": LINEAR}, 1.75),
    ({"kind": "quadratic", "factor": 0.5, "curve": 2}, math.nan),
    ({"kind": "top_p_decay", "reset_ids": [3]}, math.nan),
]


@pytest.mark.parametrize(("config", "expected"), EVERY_KIND, ids=[config["kind"] for config, _ in EVERY_KIND])
def test_every_kind_builds_and_survives_a_round_trip(config: dict[str, Any], expected: float) -> None:
    """At step 1 (prompt of 2, then token 1) on uniform scores over 4 tokens."""
    input_ids, scores = torch.tensor([[0, 5, 1]] * 2), torch.zeros(2, 4)
    model = ADAPTER.validate_python(config)
    again = ADAPTER.validate_json(model.model_dump_json())
    assert again == model
    for source in (config, model, again.model_dump()):
        policy = build_policy(source, prompt_length=2)
        got = policy.temperature(input_ids, scores).expand(2, 1)
        assert got.flatten().tolist() == pytest.approx([expected] * 2, abs=1e-6, nan_ok=True)
        assert policy(input_ids, scores).shape == scores.shape


def test_the_union_is_complete() -> None:
    schema = ADAPTER.json_schema()["discriminator"]["mapping"]
    assert set(schema) == {config["kind"] for config, _ in EVERY_KIND}


REFUSED = [
    ({"kind": "fixed"}, ("temperature",), "Field required"),
    ({"kind": "fixed", "temperature": True}, ("temperature",), "but is True"),
    ({"kind": "fixed", "temperature": math.nan}, ("temperature",), "but is nan"),
    ({"kind": "fixed", "temperature": math.inf}, ("temperature",), "but is inf"),
    ({"kind": "fixed", "temperature": -1}, ("temperature",), "a number >= 0 (0 is greedy), but is -1"),
    ({"kind": "fixed", "temperature": "1e-1"}, ("temperature",), "but is '1e-1'"),
    ({"kind": "fixed", "temperature": None}, ("temperature",), "but is None"),
    ({"kind": "fixed", "temperatur": 1, "temperature": 1}, ("temperatur",), "Extra inputs"),
    ({**LINEAR, "shape": "linera"}, ("shape",), "Input should be 'constant'"),
    ({**LINEAR, "steps": 0}, ("steps",), "has to be a whole number, a number >= 1, but is 0"),
    ({**LINEAR, "steps": 2.5}, ("steps",), "but is 2.5"),
    ({"kind": "scheduled", "shape": "linear", "start": 1}, (), "`end` is missing"),
    ({**LINEAR, "shape": "geometric", "end": 0}, (), "`end` has to be a number > 0, but is 0"),
    ({**LINEAR, "reset_ids": [1, "."]}, ("reset_ids",), "`reset_ids[1]` has to be"),
    ({"kind": "quadratic", "factor": 1, "curve": 0.5}, ("curve",), "a number in [1, 3] (outside it"),
    ({"kind": "phase", "open_ids": [], "close_ids": 1, "inside": FIXED, "outside": FIXED}, ("open_ids",), "is empty"),
    ({"kind": "phase", "open_ids": 1, "close_ids": 1, "inside": FIXED, "outside": FIXED}, (), "has to differ"),
    ({"kind": "phase", "open_ids": 1, "inside": FIXED, "outside": FIXED}, (), "`close` (text) or `close_ids`"),
    ({"kind": "product", "policies": []}, ("policies",), "at least 1 item"),
    ({"kind": "rows", "policies": [FIXED, {"kind": "edt"}]}, ("policies", 1, "edt", "theta"), "Field required"),
    ({"kind": "truncate_then_temper", "policy": FIXED}, (), "`top_k`, `top_p` or `min_p` has to be given"),
    ({"kind": "entropy_target", "entropy": 1, "min_temperature": 3, "max_temperature": 2}, (), "has to be below"),
    ({"kind": "product", "policies": [FIXED], "min_temperature": 3, "max_temperature": 2}, (), "at least"),
]


@pytest.mark.parametrize(("config", "place", "message"), REFUSED)
def test_refused_at_its_field(config: dict[str, Any], place: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        build_policy(config)
    found = [error["msg"] for error in caught.value.errors() if error["loc"] == (config["kind"], *place)]
    assert any(message in text for text in found), caught.value.errors()


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        build_policy({"kind": "dynamic", "temperature": -1, "range": -1, "exponent": 0, "extra": 1})
    assert len(caught.value.errors()) == 4


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(
        ValidationError, match="'fixt' found using 'kind' does not match any of the expected tags: 'fixed'"
    ):
        build_policy({"kind": "fixt"})


def test_models_do_not_change() -> None:
    model = ADAPTER.validate_python(FIXED)
    with pytest.raises(ValidationError, match="frozen"):
        model.temperature = 2.0


def test_a_policy_that_bends_has_nothing_to_multiply() -> None:
    config = {"kind": "product", "policies": [FIXED, {"kind": "quadratic", "factor": 1}]}
    with pytest.raises(ValueError, match=r"`policies\[1\]` \(QuadraticLogitsWarper\) has no temperature"):
        build_policy(config)


def word_tokenizer(special: list[str]) -> PreTrainedTokenizerFast:
    """Letters and a few marks, one token each; `special` are whole tokens wherever they stand."""
    vocab = {letter: place for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz</> .\n")}
    inner = Tokenizer(models.WordLevel({**vocab, "[UNK]": len(vocab)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]")
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    return tokenizer


PHASE = {"kind": "phase", "open": "<think>", "close": "</think>", "inside": LINEAR, "outside": FIXED}


def test_tags_as_text_are_resolved_once() -> None:
    one = word_tokenizer(["<think>", "</think>"])
    policy = build_policy(PHASE, tokenizer=one)
    assert policy.open_ids == (one.convert_tokens_to_ids("<think>"),)
    letters = build_policy(PHASE, tokenizer=word_tokenizer([]))
    assert len(letters.open_ids) == 7
    inside = letters.is_inside(torch.tensor([[1, *letters.open_ids, 3]]), torch.zeros(1, 9))
    assert inside.item()


def test_a_tag_that_merges_with_its_surroundings_is_refused() -> None:
    inner = Tokenizer(models.WordLevel({"<think>": 0, "[UNK]": 1}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]")
    with pytest.raises(ValueError, match=r"`open` \('<think>'\) is not tokenised the same inside a text: \[0\] alone"):
        build_policy(PHASE, tokenizer=tokenizer)


def test_a_tag_as_text_needs_a_tokenizer() -> None:
    with pytest.raises(ValueError, match=r"`open` is given as text \('<think>'\), which needs a tokenizer"):
        build_policy(PHASE)


def test_token_ids_beyond_the_tokenizer_are_refused_where_there_is_one() -> None:
    config = {**LINEAR, "reset_ids": [1, 10_000]}
    message = r"`reset_ids\[1\]` has to be a number in \[0, \d+\] \(the ids of the tokenizer\), but is 10000"
    with pytest.raises(ValueError, match=message):
        build_policy({"kind": "product", "policies": [config]}, tokenizer=word_tokenizer([]))
    assert build_policy(config).reset_ids == (1, 10_000)
