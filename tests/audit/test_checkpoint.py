"""`checkpoint_policy`: the stack that `generate()` applies for a checkpoint, to the bit, or a refusal that names what is in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig, LlamaForCausalLM

from temp_processors import audit, build_policy, checkpoint_policy, plain_sampling_kwargs
from temp_processors.audit.checkpoint import CheckpointError, checkpoint_findings, described, with_checkpoint
from temp_processors.audit.stack import record
from temp_processors.policies.kinds import KINDS
from tests.models import VOCABULARY, tiny_llama

# What the generation_config.json of these checkpoints hold on the Hub, without their token ids and version.
FAMILIES: dict[str, dict[str, Any]] = {
    "Qwen3-8B": {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95},
    "Qwen2.5-7B-Instruct": {
        "do_sample": True,
        "repetition_penalty": 1.05,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
    },
    "Llama-3.1-8B-Instruct": {"do_sample": True, "temperature": 0.6, "top_p": 0.9},
    "gemma-3-4b-it": {"cache_implementation": "hybrid", "do_sample": True, "top_k": 64, "top_p": 0.95},
    "DeepSeek-R1-Distill-Qwen-7B": {"do_sample": True, "temperature": 0.6, "top_p": 0.95},
    "gpt-oss-20b": {"do_sample": True},
    "opt": {},
    "greedy with a penalty": {"repetition_penalty": 1.3, "suppress_tokens": [4, 5], "no_repeat_ngram_size": 2},
    "a temperature without sampling": {"temperature": 0.6, "top_p": 0.9},
    "no top-k": {"do_sample": True, "top_k": 0, "min_p": 0.05, "typical_p": 0.9},
}


def checkpoint(folder: Path, fields: dict[str, Any]) -> LlamaForCausalLM:
    """A tiny random model, saved with this generation_config.json and read again."""
    tiny_llama().save_pretrained(folder)
    text = json.dumps({"eos_token_id": 1, "pad_token_id": 0, **fields})
    (folder / "generation_config.json").write_text(text, encoding="utf-8")
    return LlamaForCausalLM.from_pretrained(folder).eval()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:The following generation flags")
def test_every_step_is_that_of_generates_own_stack(family: str, tmp_path: Path) -> None:
    """Scores of 20 steps of random texts, equal to the bit; greedy ones in the token that is taken."""
    model = checkpoint(tmp_path, FAMILIES[family])
    ids = torch.randint(3, VOCABULARY, (4, 26), generator=torch.Generator().manual_seed(1))
    seen = record(model, None, [], {"inputs": ids[:, :6], "max_new_tokens": 20})
    policy = build_policy(checkpoint_policy(model), prompt_length=6)
    for step in range(20):
        scores = torch.randn(4, VOCABULARY, generator=torch.Generator().manual_seed(step)) * 4
        theirs = scores.clone()
        for processor in seen.applied:
            theirs = processor(ids[:, : 6 + step], theirs)
        ours = policy(ids[:, : 6 + step], scores)
        if seen.mode == "sample":
            assert torch.equal(ours, theirs)
        else:
            assert torch.equal(ours.argmax(dim=-1), theirs.argmax(dim=-1))
            assert (ours > -torch.inf).sum(dim=-1).tolist() == [1] * 4


@pytest.mark.parametrize("family", ["Qwen2.5-7B-Instruct", "Llama-3.1-8B-Instruct", "greedy with a penalty"])
def test_the_tokens_of_generate_told_nothing(family: str, tmp_path: Path) -> None:
    model = checkpoint(tmp_path, FAMILIES[family])
    shared = {"attention_mask": torch.ones(4, 3, dtype=torch.long), "max_new_tokens": 12}
    prompt = torch.tensor([[5, 6, 7], [8, 9, 8], [11, 12, 13], [5, 5, 5]])
    torch.manual_seed(3)
    theirs = model.generate(prompt, **shared)
    torch.manual_seed(3)
    policy = build_policy(checkpoint_policy(model), prompt_length=3)
    assert torch.equal(model.generate(prompt, logits_processor=[policy], **plain_sampling_kwargs(), **shared), theirs)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_beams": 4}, r"sets the decoding mode beam_search \(num_beams=4\), which no policy can carry"),
        (
            {"do_sample": True, "forced_eos_token_id": 2, "min_new_tokens": 3},
            "sets min_new_tokens=3, forced_eos_token_id=2, which no policy can carry",
        ),
        ({"do_sample": True, "sequence_bias": [[[3], 1.0]]}, r"sets sequence_bias=\[\[\[3\], 1.0\]\], which"),
        ({"do_sample": True, "begin_suppress_tokens": [3]}, r"begin_suppress_tokens=\[3\]"),
        ({"do_sample": True, "guidance_scale": 1.5}, "guidance_scale=1.5"),
        ({"do_sample": True, "watermarking_config": {"greenlist_ratio": 0.3}}, "watermarking_config="),
        ({"do_sample": True, "temperature": 0.0}, r"sets temperature=0.0, which has to be a number > 0"),
        ({"do_sample": True, "top_k": 2.5, "top_p": -1.0}, "top_k=2.5, which .*; top_p=-1.0, which"),
    ],
)
def test_what_no_policy_can_carry_is_named(fields: dict[str, Any], message: str) -> None:
    config = GenerationConfig()
    for name, value in fields.items():
        setattr(config, name, value)
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoint_policy(config)
    assert "\n" not in str(error.value)


def test_the_audit_of_it_says_its_temperature() -> None:
    policy = build_policy(checkpoint_policy(GenerationConfig(**FAMILIES["Qwen2.5-7B-Instruct"])))
    assert audit(tiny_llama(), processors=[policy], **plain_sampling_kwargs()).effective == "0.7"
    steps = [{"kind": "fixed", "temperature": 0.5}, {"kind": "dynamic", "temperature": 1, "range": 0.5}]
    assert audit(tiny_llama(), processors=[build_policy({"kind": "chain", "steps": steps})]).temperature is None


def test_what_a_person_should_know() -> None:
    greedy = GenerationConfig(temperature=0.6, renormalize_logits=True)
    assert [(f.code, f.severity) for f in checkpoint_findings(greedy)] == [
        ("clean-up-left-out", "info"),
        ("greedy-checkpoint", "warning"),
    ]
    assert "temperature=0.6 there have no effect" in checkpoint_findings(greedy)[1].message
    llama = GenerationConfig(**FAMILIES["Llama-3.1-8B-Instruct"])
    assert [f.code for f in checkpoint_findings(llama)] == ["truncation-by-default"]
    assert not checkpoint_findings(GenerationConfig(**FAMILIES["Qwen3-8B"]))


def test_it_is_filled_in_at_any_depth_and_compared_where_it_is_written() -> None:
    qwen, gemma = (GenerationConfig(**FAMILIES[name]) for name in ("Qwen3-8B", "gemma-3-4b-it"))
    inside = {"kind": "phase", "open_ids": [3], "close_ids": [4], "inside": {"kind": "checkpoint"}}
    filled = with_checkpoint({**inside, "outside": {"kind": "fixed", "temperature": 1}}, qwen)
    assert filled["inside"] == checkpoint_policy(qwen)
    assert build_policy(filled).inside.temperature(torch.tensor([[5]]), torch.zeros(1, 9)).item() == pytest.approx(0.6)
    assert with_checkpoint(filled, qwen) == filled
    with pytest.raises(
        CheckpointError, match=r"`policy` is not what .* says, generate\(top_k=64, top_p=0.95\): leave it"
    ):
        with_checkpoint(filled, gemma)


def test_without_a_model_there_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"there is no model here: write build_policy\(checkpoint_policy\(model\)\)"):
        build_policy({"kind": "checkpoint"})
    with pytest.raises(TypeError, match="has to be a model or a GenerationConfig, but is a str"):
        checkpoint_policy("fox")


def test_a_policy_on_one_line() -> None:
    data = {"kind": "checkpoint", "policy": {"kind": "generate", "temperature": 0.6, "top_k": 0}}
    written = KINDS["checkpoint"].model_validate(data).model_dump(mode="json")
    assert described(written) == "checkpoint: generate(temperature=0.6, top_k=0)"
