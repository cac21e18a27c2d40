"""Every architecture that `generate` runs gives the texts of `generate`, row by row: batched or not, with long shared prompts too."""

from __future__ import annotations

from typing import Any

import pytest

from temp_processors.engines.decoding.by_generate import decode_with_generate
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, ModelError
from temp_processors.engines.local import LocalEngine
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from tests.engines.architectures import ALL, BATCHED, random_model
from tests.models import tiny_llama, tiny_tokenizer

QUICK = {
    *("llama", "gemma2", "gpt2", "falcon", "bart decoder", "xlm", "bert encoder", "t5", "llava", "qwen2_vl"),
    *("mamba", "minimax", "xlstm", "xlnet", "rwkv"),
}
"""Those in which something was wrong, and one of each kind beside them."""

LONG = tuple(5 + place % 80 for place in range(90))
SHORT = [DecodeRow(prompt, policy, policy + 5) for prompt in ((5, 6, 7), (9, 8, 7, 6, 5)) for policy in (0, 1)]
SHARED = [DecodeRow(prompt, seed % 2, seed) for prompt in (LONG, LONG[7:]) for seed in range(26)]
POLICIES = [lambda _: FixedTemperatureLogitsWarper(0.7), lambda _: FixedTemperatureLogitsWarper(1.3)]
OPTIONS: dict[str, Any] = {"max_new_tokens": 4, "eos_token_ids": [1, 4], "pad_token_id": 0}
SAID = {
    "falcon": "FalconForCausalLM: every row keeps its own copy of its prompt's keys and values (RuntimeError: ",
    "diffllama": "DiffLlamaForCausalLM: every row keeps its own copy of its prompt's keys and values (it does more to its",
    "deepseek_v3": "DeepseekV3ForCausalLM: every row keeps its own copy of its prompt's keys and values (it does more to its",
    "xlm": "XLMWithLMHeadModel: a padded prompt is read otherwise, so that only prompts of one length share a batch",
    "bart decoder": "BartForCausalLM: a padded prompt is read otherwise, so that only prompts of one length share a batch",
    "minimax": "MiniMaxForCausalLM: rows go through plain generate(), which is slower (it keeps its past in MiniMaxCache)",
    "xlnet": "XLNetLMHeadModel: rows go through plain generate(), which is slower (it keeps its past in tuple)",
    "rwkv": "RwkvForCausalLM: rows go through plain generate(), which is slower (it keeps a recurrent state)",
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in ALL])
def test_rows_are_those_of_generate(name: str, caplog: pytest.LogCaptureFixture) -> None:
    model = random_model(name)
    for rows, some in ((SHORT, range(4)), (SHARED, (0, 25, 26, 51))):
        together: dict[int, Decoded] = {done.row: done for done in decode(model, rows, POLICIES, **OPTIONS)}
        assert sorted(together) == list(range(len(rows)))
        for row in some:
            (alone,) = decode_with_generate(model, [rows[row]], POLICIES, **OPTIONS)
            assert together[row]._replace(log_prob=0.0) == alone._replace(log_prob=0.0, row=row), row
            assert together[row].log_prob == pytest.approx(alone.log_prob, abs=1e-3)
    said = [record.message for record in caplog.records if record.name.startswith("temp_processors")]
    assert len(said) == len(set(said)), "each thing once"
    assert any("plain generate()" in line for line in said) == (name not in BATCHED)
    assert not said or name not in BATCHED or name in SAID
    if name in SAID:
        assert said[0].startswith(SAID[name])


def test_a_model_that_generate_cannot_run_is_one_line() -> None:
    """As Switch Transformers of two layers in transformers 5.23."""
    model = tiny_llama()
    model.model.layers[1].self_attn.register_forward_pre_hook(failing)
    engine, policies = LocalEngine(model, tiny_tokenizer()), POLICIES
    line = r"^model: LlamaForCausalLM cannot be run here: its own code fails \(IndexError: list index out of range\)$"
    with pytest.raises(ModelError, match=line):
        list(engine.draw(SHORT, policies, DrawOptions(4)))


def failing(module: Any, args: Any) -> None:
    """A hook that stands for wrong code in a checkpoint."""
    raise IndexError("list index out of range")


def test_a_mistake_of_a_policy_is_not_told_as_one_of_the_model() -> None:
    engine = LocalEngine(tiny_llama(), tiny_tokenizer())
    three = [lambda _: FixedTemperatureLogitsWarper([1.0, 2.0, 3.0])] * 2
    with pytest.raises(ValueError, match="`temperature` has 3 values"):
        list(engine.draw(SHORT, three, DrawOptions(4)))
