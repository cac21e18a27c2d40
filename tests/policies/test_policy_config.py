"""Policies as data: every kind from a dict, round trips, and every refusal names its field."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from temp_processors import EDTLogitsWarper, PolicyConfig, build_policy
from temp_processors.policies.kinds import KINDS
from temp_processors.policies.mistakes import PolicyMistakesError
from tests.models import tiny_tokenizer
from tests.policies.examples import EXAMPLES, FIXED

ADAPTER = TypeAdapter(PolicyConfig)
LINEAR = {"kind": "scheduled", "shape": "linear", "start": 2, "end": 1, "steps": 4}


@pytest.mark.parametrize(("config", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_every_example_builds_and_survives_a_round_trip(config: dict[str, Any], expected: float) -> None:
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


def test_every_kind_has_an_example() -> None:
    assert {config["kind"] for config, _ in EXAMPLES.values()} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_may_be_written_out(kind: str) -> None:
    """The model is the same one, and the default passes the check of its parameter."""
    config = next(config for config, _ in EXAMPLES.values() if config["kind"] == kind)
    model = ADAPTER.validate_python(config)
    assert ADAPTER.validate_python(model.model_dump()) == model


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_says_what_its_form_begins_with(kind: str) -> None:
    assert set(KINDS[kind].warper.example) <= set(KINDS[kind].model_fields)


def test_the_constructor_and_the_model_refuse_in_the_same_words() -> None:
    with pytest.raises(ValueError, match="has to be") as direct:
        EDTLogitsWarper(1.0, 1.0, base=1.5)
    with pytest.raises(PolicyMistakesError) as as_data:
        build_policy({"kind": "edt", "temperature": 1.0, "theta": 1.0, "base": 1.5})
    assert as_data.value.mistakes == ((("base",), str(direct.value).removeprefix("`base` ")),)


REFUSED = [
    ({"kind": "fixed"}, ("temperature",), "is required and missing"),
    ({"kind": "fixed", "temperature": True}, ("temperature",), "but is True"),
    ({"kind": "fixed", "temperature": math.nan}, ("temperature",), "but is nan"),
    ({"kind": "fixed", "temperature": math.inf}, ("temperature",), "but is inf"),
    ({"kind": "fixed", "temperature": -1}, ("temperature",), "a number >= 0 (0 is greedy), but is -1"),
    ({"kind": "fixed", "temperature": "1e-1"}, ("temperature",), "write 0.1"),
    ({"kind": "fixed", "temperature": None}, ("temperature",), "but is None"),
    ({"kind": "fixed", "temperatur": 1, "temperature": 1}, ("temperatur",), "not a field of"),
    ({**LINEAR, "shape": "linera"}, ("shape",), "has to be 'constant'"),
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
    (
        {"kind": "rows", "policies": [FIXED, {"kind": "edt"}]},
        ("policies", 1, "theta"),
        "is required and missing",
    ),
    ({"kind": "truncate_then_temper", "policy": FIXED}, (), "`top_k`, `top_p` or `min_p` has to be given"),
    ({"kind": "entropy_target", "entropy": 1, "min_temperature": 3, "max_temperature": 2}, (), "has to be below"),
    ({"kind": "phase", "open": "<a>", "close": "<a>", "inside": FIXED, "outside": FIXED}, (), "both are '<a>'"),
    ({"kind": "product", "policies": [FIXED], "min_temperature": 3, "max_temperature": 2}, (), "at least"),
    ({"kind": "product", "policies": "x"}, ("policies",), "has to be a list, but is 'x'"),
    ({"kind": "product", "policies": [3]}, ("policies", 0), "has to be a mapping with a `kind`, but is 3"),
    ({"kind": "phase", "open": 3, "close": "b", "inside": FIXED, "outside": FIXED}, ("open",), "has to be a text"),
    ({"kind": "phase", "open": "", "close": "b", "inside": FIXED, "outside": FIXED}, ("open",), "at least 1 character"),
    ({"kind": "truncate_then_temper", "policy": None, "top_k": 5}, ("policy",), "a mapping with a `kind`"),
    ({**FIXED, 3: 4}, (3,), "has to be a text, as every name of a field"),
    ({**FIXED, "a\nb": 4}, ("a\nb",), "not a field of 'fixed'"),
    ({}, ("kind",), "is required and missing: `kind` says which policy this is; allowed: fixed, scheduled"),
    ({"kind": 3}, ("kind",), "is not a kind of policy; allowed: fixed"),
    ("fixed", (), "has to be a mapping with a `kind`, such as {'kind': 'fixed', 'temperature': 0.7}, but is 'fixed'"),
    (None, (), "has to be a mapping with a `kind`"),
]
PYDANTIC = re.compile(r"validation error|type=|input_value|valid (string|tuple|dict|list)|should", re.IGNORECASE)
"""What pydantic would say."""


@pytest.mark.parametrize(("config", "place", "message"), REFUSED)
def test_refused_at_its_field(config: Any, place: tuple[object, ...], message: str) -> None:
    with pytest.raises(PolicyMistakesError) as caught:
        build_policy(config)
    assert any(message in text for found, text in caught.value.mistakes if found == place), caught.value
    assert not PYDANTIC.search(str(caught.value))


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(PolicyMistakesError) as caught:
        build_policy({"kind": "dynamic", "temperature": -1, "range": -1, "exponent": 0, "extra": 1})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "temperature",
        "range",
        "exponent",
        "extra",
    ]


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'fixt' is not a kind of policy \(did you mean 'fixed'\?\)") as caught:
        build_policy({"kind": "fixt"})
    assert "tagged-union" not in str(caught.value)
    with pytest.raises(ValueError, match="'x' is not a kind of policy; allowed: fixed, scheduled, annealed"):
        build_policy({"kind": "x"})


def test_a_typo_is_told_with_what_was_probably_meant() -> None:
    with pytest.raises(ValueError, match=r"not a field of 'fixed' \(did you mean 'temperature'\?\)") as caught:
        build_policy({"kind": "fixed", "temprature": 1.0})
    assert "Policy" not in str(caught.value)
    config = {"kind": "product", "policies": [{"kind": "fixd", "temperature": 1.0}]}
    with pytest.raises(ValueError, match=r"'fixd' is not a kind of policy \(did you mean 'fixed'\?\)"):
        build_policy(config)


def test_models_do_not_change() -> None:
    model = ADAPTER.validate_python(FIXED)
    with pytest.raises(ValidationError, match="frozen"):
        model.temperature = 2.0


def test_a_policy_that_bends_has_nothing_to_multiply() -> None:
    config = {"kind": "product", "policies": [FIXED, {"kind": "quadratic", "factor": 1}]}
    with pytest.raises(ValueError, match=r"`policies\[1\]` \(QuadraticLogitsWarper\) has no temperature"):
        build_policy(config)


PHASE = {"kind": "phase", "open": "<think>", "close": "</think>", "inside": LINEAR, "outside": FIXED}


def test_tags_as_text_are_resolved_once() -> None:
    one = tiny_tokenizer(["<think>", "</think>"])
    policy = build_policy(PHASE, tokenizer=one)
    assert policy.open_ids == (one.convert_tokens_to_ids("<think>"),)
    letters = build_policy(PHASE, tokenizer=tiny_tokenizer())
    assert len(letters.open_ids) == 7
    inside = letters.is_inside(torch.tensor([[1, *letters.open_ids, 3]]), torch.zeros(1, 9))
    assert inside.item()


def test_a_tag_that_merges_with_its_surroundings_is_refused() -> None:
    inner = Tokenizer(models.WordLevel({"<think>": 0, "[UNK]": 1}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]")
    with pytest.raises(ValueError, match=r"`open` \('<think>'\) is not tokenised the same inside a text: \[0\] alone"):
        build_policy(PHASE, tokenizer=tokenizer)


def byte_pairs() -> PreTrainedTokenizerFast:
    """Bytes, with the merges `th`, `ink` and `>` with a line break: `<think>` ends differently before a line break."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("i", "n"), ("in", "k"), ("t", "h"), ("th", "ink"), (">", "Ċ")]
    pieces = [*alphabet, *(left + right for left, right in merges)]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    inner = Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def test_a_tag_that_the_tokenizer_splits_is_told_which_ids_could_serve() -> None:
    tokenizer = byte_pairs()
    ids = tokenizer.convert_tokens_to_ids(["<", "think"])
    with pytest.raises(ValueError, match="is not tokenised the same inside a text") as caught:
        build_policy(PHASE, tokenizer=tokenizer)
    assert f"give `open_ids` (`open_ids: {ids}`, '<think', is in all of them), or make the tag one" in str(caught.value)
    served = build_policy(
        {**PHASE, "open": None, "open_ids": ids, "close": None, "close_ids": [1]}, tokenizer=tokenizer
    )
    for text in ("a<think>b", "a <think> b", "a.\n<think>\nb"):
        row = torch.tensor([tokenizer(text)["input_ids"]])
        assert served.is_inside(row, torch.zeros(1, 9)).item()


def test_a_tag_as_text_needs_a_tokenizer() -> None:
    with pytest.raises(ValueError, match=r"`open` is given as text \('<think>'\), which needs a tokenizer"):
        build_policy(PHASE)


def test_token_ids_beyond_the_tokenizer_are_refused_where_there_is_one() -> None:
    config = {**LINEAR, "reset_ids": [1, 10_000]}
    message = r"`reset_ids\[1\]` has to be a number in \[0, \d+\] \(the ids of the tokenizer\), but is 10000"
    with pytest.raises(ValueError, match=message):
        build_policy({"kind": "product", "policies": [config]}, tokenizer=tiny_tokenizer())
    assert build_policy(config).reset_ids == (1, 10_000)
