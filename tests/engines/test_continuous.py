"""Continuous batching: rows that come and go draw the texts of `generate`, whatever stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from temp_processors import FOX_PATH, FixedTemperatureLogitsWarper
from temp_processors.engines.decoding import continuous, lean, number_type, slots
from temp_processors.engines.decoding.by_generate import decode_with_generate
from temp_processors.engines.decoding.continuous import Width, draw_continuously
from temp_processors.engines.decoding.lean import PackedLinear, lean_view
from temp_processors.engines.decoding.number_type import computes_bfloat16
from temp_processors.engines.decoding.packed import prefill_rows
from temp_processors.engines.decoding.seeded import for_texts
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, ignore
from temp_processors.engines.local import LocalEngine
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.kinds import build_policy, validated
from tests.engines.architectures import ALL, BATCHED, random_model
from tests.engines.test_generate_draws import deviation
from tests.engines.test_shared_prefix import CONFIGS, SLIDING
from tests.engines.test_shared_prefix import random_model as of_config
from tests.models import tiny_llama, tiny_tokenizer

STEM = tuple(5 + place % 60 for place in range(70))
PROMPTS = [(5, 6, 7), (9, 8, 7, 6, 5), (11,), STEM[:33], STEM[:40], (*STEM[:20], 9, 9), tuple(range(5, 36))]
SIZES = [1, 2, 64, None]
SETTINGS: dict[str, Any] = {"max_new_tokens": 12, "eos_token_ids": [1, 2, 3, 4], "coupled": False, "ends": None}
POLICIES = [lambda _: FixedTemperatureLogitsWarper(0.8), lambda _: FixedTemperatureLogitsWarper(1.6)]


def rows_of(prompts: Sequence[tuple[int, ...]], each: int) -> list[DecodeRow]:
    return [DecodeRow(p, seed % 2, 100 * n + seed) for n, p in enumerate(prompts) for seed in range(each)]


def drawn(
    model: Any, rows: Sequence[DecodeRow], size: int | None, policies: Any = POLICIES, **changed: Any
) -> list[Decoded]:
    view = lean_view(model)
    assert view is not None
    found = draw_continuously(view, rows, policies, batch_size=size, on_tokens=ignore, **{**SETTINGS, **changed})
    return sorted(found)


def alone(model: Any, rows: Sequence[DecodeRow], policies: Any = POLICIES, **changed: Any) -> list[Decoded]:
    options = {**SETTINGS, **changed, "pad_token_id": 0}
    return [
        next(iter(decode_with_generate(model, [row], policies, **options)))._replace(row=n)
        for n, row in enumerate(rows)
    ]


def assert_same(got: Sequence[Decoded], wanted: Sequence[Decoded]) -> None:
    assert [done[:3] for done in got] == [done[:3] for done in wanted]
    assert [done.log_prob for done in got] == pytest.approx([done.log_prob for done in wanted], abs=1e-5, nan_ok=True)


QUICK = "grouped queries"
EVERY = [pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow) for name in CONFIGS]


@pytest.mark.parametrize("name", EVERY)
def test_rows_are_those_of_generate(name: str) -> None:
    """In float64, so that rounding decides nothing."""
    model, rows = of_config(CONFIGS[name]), rows_of(PROMPTS, 3)
    wanted = alone(model, rows)
    assert {done.finish_reason for done in wanted} == {"stop", "length"}
    assert_same(drawn(model, rows, 4), wanted)


@pytest.mark.parametrize("name", EVERY)
def test_no_bit_depends_on_the_rows_beside(name: str) -> None:
    """In float32: batches of every size, rows in another order, some rows drawn later as after a kill."""
    model, rows = of_config(CONFIGS[name]).float(), rows_of(PROMPTS, 3)
    wanted = drawn(model, rows, 7)
    for size in SIZES:
        assert drawn(model, rows, size) == wanted
    backwards = drawn(model, rows[::-1], 5)
    assert [done._replace(row=len(rows) - 1 - done.row) for done in reversed(backwards)] == wanted
    later = drawn(model, rows[9:], 6)
    assert [done._replace(row=done.row + 9) for done in later] == wanted[9:]


EXTENTS = [
    # keys that rows have to read, rows of a part at least -> (begin, end, keys)
    ([32, 16], 32, [(0, 2, 32)]),
    ([16, 16, 32, 32, 48], 2, [(0, 2, 16), (2, 5, 48)]),
    ([16, 16, 16, 16, 48, 16], 2, [(0, 4, 16), (4, 6, 48)]),
]


@pytest.mark.parametrize(("seen", "together", "wanted"), EXTENTS)
def test_rows_of_one_extent_are_attended_to_together(
    seen: list[int], together: int, wanted: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "TOGETHER", together)
    assert list(slots._extents(seen)) == wanted


def test_no_bit_depends_on_how_far_the_keys_beside_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = of_config(CONFIGS[QUICK]).float(), rows_of([*PROMPTS, STEM], 3)
    wanted = drawn(model, rows, 16)
    parts, extents = list[int](), slots._extents
    monkeypatch.setattr(slots, "TOGETHER", 2)
    monkeypatch.setattr(slots, "_extents", lambda seen: [parts.append(len(found := list(extents(seen)))), *found][1:])
    assert drawn(model, rows, 16) == wanted
    assert max(parts) > 1


@pytest.mark.parametrize("begun", [1, 15, 16, 20])
def test_a_packed_prompt_has_the_bits_that_it_has_alone_and_behind_a_prefix(begun: int) -> None:
    view = lean_view(of_config(CONFIGS[QUICK]).float())
    prompts = [STEM[:33], STEM[:40], (*STEM[:20], 9, 9), STEM[:21]]
    together = prefill_rows(view, prompts, None)
    (prefix,) = prefill_rows(view, [STEM[:begun]], None)
    behind = prefill_rows(view, [prompt[begun:] for prompt in prompts], prefix.past)
    for place, prompt in enumerate(prompts):
        (alone_,) = prefill_rows(view, [prompt], None)
        whole = torch.cat([prefix.past, behind[place].past], dim=3)
        assert all(torch.equal(past, together[place].past) for past in (alone_.past, whole))
        assert all(torch.equal(start.logits, together[place].logits) for start in (alone_, behind[place]))


def test_the_shipped_model_draws_the_same_bits_in_any_batch() -> None:
    model = AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()
    rows = rows_of([(5, 6, 7), tuple(range(20, 51))], 8)
    assert drawn(model, rows, 3, max_new_tokens=12) == drawn(model, rows, 16, max_new_tokens=12)
    view = lean_view(model)
    assert any(type(part) is PackedLinear for part in view.modules())
    assert not any(type(part) is PackedLinear for part in model.modules())


STEMS = {
    "a prompt of many rows": rows_of([STEM, (5, 6)], 40),
    "two, and a short one": rows_of([STEM, STEM[1:], (5, 6)], 40),
    "a template of many prompts": rows_of([(*STEM, number, 9) for number in range(5, 45)], 1),
}


@pytest.mark.parametrize("rows", STEMS.values(), ids=STEMS)
def test_what_rows_begin_with_is_kept_once(rows: list[DecodeRow], monkeypatch: pytest.MonkeyPatch) -> None:
    model = of_config(CONFIGS["grouped queries"])
    merged: list[int] = []
    plain = slots._merged

    def counted(query: Any, *rest: Any) -> Any:
        merged.append(len(query))
        return plain(query, *rest)

    monkeypatch.setattr(slots, "_merged", counted)
    shared = drawn(model, rows, 64)
    assert max(merged) > 8
    merged.clear()
    for name in ("WORTH_SHARING", "PREFIX"):
        monkeypatch.setattr(continuous, name, 10**9)
    assert_same(drawn(model, rows, 64), shared)
    assert not merged
    assert_same(shared[:3], alone(model, rows[:3]))


KINDS = [
    {"kind": "scheduled", "shape": "linear", "start": 0.5, "end": 1.6, "steps": 10},
    {"kind": "phase", "open_ids": [7], "close_ids": [8], "inside": {"kind": "fixed", "temperature": 0.5},
     "outside": {"kind": "scheduled", "shape": "linear", "start": 1.4, "end": 0.6, "steps": 6}},
    {"kind": "top_p_decay", "reset_ids": [7, 8]},
    {"kind": "dynamic", "temperature": 1.0, "range": 0.5},
    {"kind": "monte_carlo", "low": 0.3, "high": 1.7},
]  # fmt: skip


def test_policies_see_the_text_of_each_row_and_its_own_step() -> None:
    model, configs = of_config(CONFIGS["llama"]), [validated(data) for data in KINDS]
    policies = [lambda n, c=c: build_policy(c, prompt_length=n, tokenizer=None) for c in configs]
    rows = [DecodeRow(prompt, seed % 5, seed) for prompt in PROMPTS[1:4] for seed in range(10)]
    assert_same(drawn(model, rows, 6, policies), alone(model, *for_texts(rows, policies)))


@pytest.mark.parametrize(
    "changed", [{"coupled": True}, {"ends": lambda tokens: tokens[-1] % 7 == 0}], ids=["coupled", "ends"]
)
def test_options_are_those_of_decode(changed: dict[str, Any]) -> None:
    model, rows = of_config(CONFIGS["llama"]), rows_of(PROMPTS[:3], 3)
    assert_same(drawn(model, rows, 4, **changed), alone(model, rows, **changed))


class NanLater(PolicyLogitsWarper):
    """A policy that breaks at its third step for rows that begin with token 5."""

    def temperature(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        broken = (input_ids == 5).any(dim=-1, keepdim=True) & (self.steps(input_ids, scores) == 2)
        return torch.where(broken, torch.nan, 1.0)


def test_nan_ends_one_row_and_leaves_the_others() -> None:
    model = of_config(CONFIGS["llama"])
    rows = [DecodeRow((5, 6, 7), 0, 1), DecodeRow((9, 8, 7), 1, 1), DecodeRow((5, 6, 7), 1, 1)]
    policies = [lambda n: NanLater(prompt_length=n), POLICIES[0]]
    got = drawn(model, rows, 2, policies, eos_token_ids=[], max_new_tokens=5)
    assert [(done.finish_reason, len(done.token_ids)) for done in got] == [("nan", 2), ("length", 5), ("length", 5)]


def test_out_of_memory_halves_the_width(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    model, rows = of_config(CONFIGS["llama"]), rows_of(PROMPTS[:3], 6)
    wanted, step = drawn(model, rows, 16), slots.Past.step

    def small(past: slots.Past, *rest: Any) -> Any:
        if len(past) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return step(past, *rest)

    monkeypatch.setattr(slots.Past, "step", small)
    assert_same(drawn(model, rows, 16), wanted)
    assert [record.args for record in caplog.records] == [(16,), (8,)]


@pytest.mark.parametrize("make", [lambda: of_config(SLIDING), lambda: tiny_llama().to(torch.float16)])
def test_who_has_a_view(make: Callable[[], Any]) -> None:
    model = make()
    assert (lean_view(model) is None) == (model.dtype == torch.float64)


SLOW_HERE = {name: pytest.mark.slow for name in ALL if name not in ("llama", "gemma2", "falcon", "xlm")}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW_HERE.get(name, [])) for name in ALL])
def test_the_engine_gives_the_texts_of_generate(name: str) -> None:
    model = random_model(name)
    engine = LocalEngine(model, tiny_tokenizer())
    rows = rows_of([(5, 6, 7), (9, 8, 7, 6, 5)], 3)
    got = sorted(engine.draw(rows, POLICIES, DrawOptions(4)))
    for done in got:
        (one,) = decode_with_generate(
            model, [rows[done.row]], POLICIES, max_new_tokens=4, eos_token_ids=engine.eos_token_ids, pad_token_id=0
        )
        assert done[1:3] == one[1:3]
        assert done.log_prob == pytest.approx(one.log_prob, abs=1e-3)
    assert not engine.independent_rows or name in BATCHED


TRIALS = [
    # seconds of a step by its rows -> the width that is found
    ({32: 1.0, 64: 2.0}, 32),
    ({32: 1.0, 64: 1.1, 128: 2.2}, 64),
    ({32: 1.0, 64: 1.9, 128: 3.8}, 64),
    ({32: 1.0, 64: 1.0, 128: 1.0, 256: 1.0, 512: 1.0, 1024: 1.0}, 1024),
]


@pytest.mark.parametrize(("seconds", "wanted"), TRIALS)
def test_the_width_is_found_by_trying(seconds: dict[int, float], wanted: int) -> None:
    width = Width(None, parameters=10**9, row_bytes=1)
    for _ in range(50):
        width.measured(width.rows, seconds[width.rows])
        width.measured(3, 9.0)  # a step that is not full says nothing
    assert width.rows == wanted


def test_a_width_that_was_given_stays() -> None:
    width = Width(7, parameters=10**9, row_bytes=1)
    for _ in range(20):
        width.measured(7, 1.0)
    assert width.rows == 7


def test_memory_bounds_the_width() -> None:
    assert Width(None, parameters=1, row_bytes=1 << 60).rows == 2


def test_weights_are_laid_out_only_where_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "SPARE", float("inf"))
    view = lean_view(tiny_llama())
    assert view is not None
    assert not any(type(part) is PackedLinear for part in view.modules())


@pytest.mark.skipif(not computes_bfloat16(), reason="this processor emulates bfloat16")
def test_weights_in_bfloat16_are_laid_out_where_the_processor_multiplies_them() -> None:
    view = lean_view(tiny_llama().bfloat16())
    assert view is not None
    assert any(type(part) is PackedLinear for part in view.modules())


ADVICE = [
    # dtype, whether the processor computes bfloat16, what is said
    (torch.float32, True, "this CPU computes bfloat16 natively"),
    (torch.float32, False, None),
    (torch.bfloat16, True, None),
    (torch.bfloat16, False, "this CPU emulates bfloat16"),
]


@pytest.mark.parametrize(("dtype", "native", "wanted"), ADVICE)
def test_the_log_says_which_type_suits_the_processor(
    dtype: torch.dtype,
    native: bool,
    wanted: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = tiny_llama().to(dtype)
    monkeypatch.setattr(number_type, "computes_bfloat16", lambda: native)
    number_type.advise_type(model)
    assert caplog.messages == []  # a small model
    monkeypatch.setattr(number_type, "LARGE", 1)
    number_type.advise_type(model)
    assert len(caplog.messages) == (wanted is not None)
    assert (wanted or "") in caplog.text


@pytest.mark.slow
def test_20_000_rows_with_refill_follow_the_policy() -> None:
    """The second token, given the first, of rows that came in at any time: by chi-square as in test_generate_draws.py."""
    model = AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()
    prompt, count = (5, 9, 13), 20_000
    rows = [DecodeRow(prompt, 0, seed) for seed in range(count)]
    eos = list(range(200))  # rows end early, so that others take their place
    policies = [lambda _: FixedTemperatureLogitsWarper(0.7)]
    texts = drawn(model, rows, 64, policies, max_new_tokens=2, eos_token_ids=eos)
    assert len(texts) == count
    first = torch.bincount(torch.tensor([d.token_ids[0] for d in texts if d.token_ids]), minlength=1)
    likely = int(first.argmax())
    seconds = [d.token_ids[1] for d in texts if len(d.token_ids) == 2 and d.token_ids[0] == likely]
    with torch.inference_mode():
        for ids, tokens in (([prompt], [d.token_ids[0] for d in texts if d.token_ids]), ([(*prompt, likely)], seconds)):
            probs = (model(torch.tensor(ids)).logits[0, -1].double() / 0.7).softmax(-1)
            probs[eos] = 0.0
            counts = torch.bincount(torch.tensor(tokens), minlength=len(probs)).double()
            assert abs(deviation(counts, probs / probs.sum())) < 4.5
