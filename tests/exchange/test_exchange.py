"""Exports and imports mean the same: against formulas of the other samplers, `generate` itself, and round trips."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig
from typer.testing import CliRunner

from temp_processors import build_policy, export_policy, import_policy
from temp_processors.cli.app import app
from temp_processors.config.yaml_lines import parse_yaml
from temp_processors.exchange.formats import FORMATS, exported, imported
from temp_processors.exchange.result import NotCarriedError
from tests.exchange import samplers
from tests.models import tiny_llama

IDS = [3, 7, 3, 11]
ROWS = torch.randn(4, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * torch.tensor(
    [[0.3], [1.0], [2.5], [6.0]], dtype=torch.float64
)

shares = st.floats(0.05, 0.95)
temperatures = st.floats(0.1, 3.0)
fixed = st.builds(lambda t: {"kind": "fixed", "temperature": t}, st.one_of(temperatures, st.sampled_from([0.0, 1.0])))
dynamic = st.builds(
    lambda t, r, e: {"kind": "dynamic", "temperature": t, "range": r, "exponent": e},
    temperatures,
    st.floats(0.0, 1.0),
    st.floats(0.5, 2.0),
)
cuts = st.one_of(
    st.builds(lambda k: {"kind": "top_k", "top_k": k}, st.integers(1, 40)),
    st.builds(lambda n: {"kind": "top_n_sigma", "n": n}, st.floats(0.3, 3.0)),
    *(st.builds(lambda p, name=name: {"kind": name, name: p}, shares) for name in ("top_p", "min_p", "typical_p")),
)
others = st.sampled_from(
    [{"kind": "p_less"}, {"kind": "edt", "temperature": 1.0, "theta": 0.5}, {"kind": "top_h", "top_h": 0.6}]
)
truncated = st.builds(
    lambda policy, k, p: {"kind": "truncate_then_temper", "policy": policy, "top_k": k, "min_p": p},
    st.one_of(fixed, dynamic),
    st.integers(1, 20),
    st.one_of(st.none(), shares),
)
like_generate = st.fixed_dictionaries(
    {"kind": st.just("generate")},
    optional={
        "temperature": temperatures,
        "top_k": st.integers(0, 40),
        "top_p": shares,
        "min_p": shares,
        "typical_p": shares,
        "top_h": shares,
        "epsilon_cutoff": st.floats(0.001, 0.1),
        "repetition_penalty": st.floats(0.5, 2.0),
        "no_repeat_ngram_size": st.integers(0, 3),
        "suppress_tokens": st.lists(st.integers(0, 20), max_size=3),
    },
)
single = st.one_of(fixed, dynamic, cuts, others, truncated, like_generate)
chains = st.lists(st.one_of(fixed, cuts, dynamic, single), min_size=1, max_size=4).map(
    lambda steps: {"kind": "chain", "steps": steps}
)
mixtures = st.builds(
    lambda chance, threshold, then: {"kind": "xtc", "probability": chance, "threshold": threshold, "then": then},
    st.floats(0.0, 1.0),
    st.floats(0.05, 0.6),
    st.one_of(st.none(), fixed, chains),
)
policies = st.one_of(
    single, chains, mixtures, st.builds(lambda c, x: {"kind": "chain", "steps": [c, x]}, chains, mixtures)
)


def probabilities(policy: dict[str, Any]) -> Any:
    ids = torch.tensor(IDS).expand(len(ROWS), -1)
    return build_policy(policy)(ids, ROWS).softmax(-1).numpy()


@pytest.mark.parametrize("name", FORMATS)
@given(policy=policies)
@settings(max_examples=60, deadline=None)
def test_what_is_exported_comes_back_with_its_meaning(name: str, policy: dict[str, Any]) -> None:
    """Numbers through JSON, as a server gets them."""
    found = exported(policy, name)
    again = imported(json.loads(json.dumps(found.fields)), name)
    assert not again.not_carried
    if found.not_carried:
        assert name != "vllm"  # its `extra_args` carry every policy of one row
        return
    np.testing.assert_allclose(probabilities(again.policy), probabilities(policy), atol=1e-9)
    once_more = exported(again.policy, name)
    assert once_more.fields == found.fields or name == "vllm"


@pytest.mark.parametrize("name", ["llama.cpp", "vllm", "ollama", "openai"])
@given(policy=policies)
@settings(max_examples=60, deadline=None)
def test_exported_fields_do_what_the_policy_does(name: str, policy: dict[str, Any]) -> None:
    """Against the formulas of the other sampler, in its order."""
    found = exported(policy, name)
    if found.not_carried or "extra_args" in found.fields:
        return
    theirs = getattr(samplers, name.replace(".", "_"))
    wanted = np.stack([theirs(found.fields, row, IDS) for row in ROWS.numpy()])
    np.testing.assert_allclose(probabilities(policy), wanted, atol=1e-9)


fields_of_llama_cpp = st.fixed_dictionaries(
    {},
    optional={
        "samplers": st.permutations(["top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "temperature"]),
        "temperature": st.one_of(st.floats(0.05, 2.0), st.floats(-1.0, 0.0)),
        "dynatemp_range": st.one_of(st.just(0.0), st.floats(0.05, 0.5)),
        "top_k": st.integers(-1, 50),
        "top_p": st.floats(0.1, 1.0),
        "min_p": st.floats(0.0, 0.5),
        "typical_p": st.floats(0.2, 1.0),
        "top_n_sigma": st.floats(-1.0, 2.0),
        "xtc_probability": st.floats(0.0, 1.0),
        "xtc_threshold": st.floats(0.05, 1.0),
    },
).filter(lambda fields: fields.get("temperature", 0.8) >= 0 or not fields.get("dynatemp_range"))
DEFAULTS = {
    "samplers": ["top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    "temperature": 0.8,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "xtc_threshold": 0.1,
}


@given(fields=fields_of_llama_cpp)
@settings(max_examples=60, deadline=None)
def test_a_request_to_llama_cpp_is_imported_with_its_defaults_and_its_order(fields: dict[str, Any]) -> None:
    policy = import_policy(fields, "llama.cpp")
    wanted = np.stack([samplers.llama_cpp({**DEFAULTS, **fields}, row, IDS) for row in ROWS.numpy()])
    np.testing.assert_allclose(probabilities(policy), wanted, atol=1e-9)
    np.testing.assert_allclose(
        probabilities(import_policy(export_policy(policy, "llama.cpp"), "llama.cpp")), wanted, atol=1e-9
    )


@given(policy=like_generate)
@settings(max_examples=25, deadline=None)
def test_generate_does_what_the_fields_say(policy: dict[str, Any]) -> None:
    model = tiny_llama()
    prompt = torch.tensor([IDS])
    fields = export_policy(policy, "generation_config")
    out = model.generate(
        prompt,
        generation_config=GenerationConfig(**fields, max_new_tokens=1, pad_token_id=0),
        output_scores=True,
        output_logits=True,
        return_dict_in_generate=True,
    )
    ours = build_policy(policy)(prompt, out.logits[0])
    torch.testing.assert_close(ours, out.scores[0])


@pytest.mark.parametrize(
    ("policy", "to", "message"),
    [
        ({"kind": "p_less"}, "llama.cpp", "p_less has no counterpart in llama.cpp"),
        (
            {"kind": "edt", "temperature": 1, "theta": 0.3},
            "ollama",
            "edt (temperature 1.0, theta 0.3, base 0.8) has no",
        ),
        (
            {"kind": "chain", "steps": [{"kind": "top_p", "top_p": 0.9}, {"kind": "fixed", "temperature": 0.5}]},
            "generation_config",
            "steps[1]: fixed (temperature 0.5) comes after steps[0]: top_p (top_p 0.9), which GenerationConfig does",
        ),
        (
            {"kind": "chain", "steps": [{"kind": "top_p", "top_p": 0.9}, {"kind": "top_p", "top_p": 0.5}]},
            "llama.cpp",
            "steps[1]: top_p (top_p 0.5) is the second top_p",
        ),
        ({"kind": "fixed", "temperature": [0.5, 1.0]}, "vllm", "a request is one row"),
        ({"kind": "fixed", "temperature": [0.5, 1.0]}, "ollama", "fixed (temperature [0.5, 1.0]) has no counterpart"),
        (
            {"kind": "generate", "repetition_penalty": 1.1},
            "ollama",
            "repetition_penalty (repetition_penalty 1.1) has no",
        ),
        ({"kind": "generate", "no_repeat_ngram_size": 3}, "llama.cpp", "no_repeat_ngram_size 3) has no counterpart"),
        (
            {"kind": "xtc", "then": {"kind": "entropy_target", "entropy": 1.0}},
            "llama.cpp",
            "then: entropy_target (entropy 1.0, ",
        ),
    ],
)
def test_what_has_no_counterpart_is_named(policy: dict[str, Any], to: str, message: str) -> None:
    with pytest.raises(NotCarriedError) as caught:
        export_policy(policy, to)
    assert message in str(caught.value)
    assert caught.value.not_carried


@pytest.mark.parametrize(
    ("fields", "source", "message"),
    [
        ({"mirostat": 2}, "llama.cpp", "mirostat (2): has no counterpart in a policy"),
        (
            {"repeat_penalty": 1.1},
            "llama.cpp",
            "counts the last 64 tokens (repeat_last_n), in a policy all of them (-1)",
        ),
        ({"dry_multiplier": 0.8}, "llama.cpp", "dry_multiplier (0.8): the sampler dry has no counterpart"),
        ({"logit_bias": [[5, 1.5]]}, "llama.cpp", "logit_bias ([[5, 1.5]])"),
        ({"tempreature": 1.5}, "llama.cpp", "tempreature: no field of llama.cpp (did you mean 'temperature'?)"),
        ({"presence_penalty": 0.3}, "vllm", "presence_penalty (0.3): has no counterpart"),
        ({"extra_args": {"other": 1}}, "vllm", "extra_args.other: of another processor"),
        ({"do_sample": True, "guidance_scale": 1.5}, "generation_config", "guidance_scale (1.5): has no counterpart"),
        ({"do_sample": True, "num_beams": 4}, "generation_config", "num_beams (4): another way to decode"),
        ({"repeat_penalty": 1.1}, "ollama", "repeat_penalty (1.1): has no counterpart"),
        ({"mirostat": 1}, "ollama", "mirostat (1): has no counterpart"),
    ],
)
def test_a_field_without_counterpart_is_named(fields: dict[str, Any], source: str, message: str) -> None:
    with pytest.raises(NotCarriedError) as caught:
        import_policy(fields, source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "source", "message"),
    [
        ({"temperature": "hot"}, "llama.cpp", "temperature has to be a number, but is 'hot'"),
        ({"top_k": 1.5}, "ollama", "top_k has to be a whole number, but is 1.5"),
        ({"top_p": -1}, "llama.cpp", r"top_p has to be a number in (0, 1], but is -1"),
        ({"samplers": ["top_q"]}, "llama.cpp", "samplers has to list some of penalties, dry,"),
        ({"temperature": 0.5, "extra_args": {"temperature_policy": {"kind": "p_less"}}}, "vllm", "has to be 1 (or 0)"),
        ({"vllm_xargs": {"temperature_policy": '{"kind": "p_les"}'}}, "vllm", "did you mean 'p_less'?"),
        ({"do_sample": True, "temperature": -1}, "generation_config", "temperature has to be a number > 0, but is -1"),
        ({"temperature": -1}, "vllm", "temperature has to be a number >= 0 (0 is greedy), but is -1"),
        ({"samplers": "top_k"}, "llama.cpp", "infill, adaptive_p, or their letters, but is 'top_k'"),
        ([1], "ollama", "has to be a mapping of fields, but is [1]"),
        ({}, "llama", "'llama' is no format (did you mean 'ollama'?)"),
    ],
)
def test_mistakes_are_named(fields: Any, source: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        import_policy(fields, source)


@pytest.mark.parametrize(
    ("fields", "source", "policy"),
    [
        ({"samplers": "kt", "top_k": 5, "temperature": 2}, "llama.cpp", [{"top_k": 5}, {"temperature": 2}]),
        ({"temperature": 0.5, "top_p": 0.9}, "vllm", [{"temperature": 0.5}, {"top_p": 0.9}]),
        ({}, "ollama", [{"top_k": 40}, {"temperature": 0.8}, {"top_p": 0.9}]),
        ({"temperature": 0.7}, "generation_config", {"kind": "fixed", "temperature": 0.0}),
        (
            GenerationConfig(do_sample=True, temperature=0.6, top_k=20),
            "generation_config",
            {"kind": "generate", "temperature": 0.6, "top_k": 20},
        ),
        (
            {"vllm_xargs": {"temperature_policy": '{"kind": "p_less"}'}, "top_k": -1},
            "vllm",
            {"kind": "p_less"},
        ),
        ({"temperature_policy": {"kind": "p_less"}}, "generation_config", {"kind": "p_less"}),
    ],
)
def test_imported(fields: Any, source: str, policy: Any) -> None:
    found = import_policy(fields, source)
    if isinstance(policy, list):
        found = [{name: value for name, value in step.items() if name != "kind"} for step in found["steps"]]
    assert found == policy


def test_fields_that_are_no_part_of_a_policy_are_listed() -> None:
    assert imported({"seed": 3, "temperature": 1.0, "prompt": "x"}, "llama.cpp").beside == ("seed", "prompt")
    assert imported({"temperature": 0.7, "max_length": 9}, "generation_config").beside == ("max_length", "temperature")


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        (
            {"temperature": 0.7, "top_k": 20},
            "do_sample is not set, and .* greedy .* and temperature, top_k without effect; to",
        ),
        (
            {"max_length": 9},
            r"do_sample is not set, and .* this is greedy \(temperature 0\); to sample, set do_sample: true",
        ),
        (
            {"do_sample": False, "temperature": 0.7},
            "do_sample is false: this is greedy .* and temperature without effect",
        ),
        ({"do_sample": False}, None),
        ({"do_sample": True, "temperature": 0.7}, None),
    ],
)
def test_fields_that_do_not_sample_are_noted(fields: dict[str, Any], note: str | None) -> None:
    notes = imported(fields, "generation_config").notes
    assert len(notes) == (note is not None)
    assert note is None or re.match(note, notes[0])


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_the_commands(tmp_path: Path) -> None:
    text = "{kind: chain, steps: [{kind: min_p, min_p: 0.1}, {kind: dynamic, temperature: 0.8, range: 0.3}]}"
    code, out, _ = run("export", text, "--to", "llama.cpp")
    assert (code, json.loads(out)["dynatemp_range"]) == (0, 0.3)
    file = tmp_path / "warm.json"
    file.write_text(json.dumps({**json.loads(out), "seed": 5}))
    code, out, told = run("import", str(file), "--from", "llama.cpp")
    assert (code, told) == (0, "no part of a policy: seed\n")
    held = parse_yaml(out, "out").data["policies"]
    assert held == [{"name": "warm", **parse_yaml(text, "text").data}]
    config = tmp_path / "two.yaml"
    config.write_text(f"name: two\nprompts: [a]\n{out}- {{name: hot, kind: fixed, temperature: 2}}\n")
    assert json.loads(run("export", str(config), "--policy", "hot", "--to", "ollama")[1])["temperature"] == 2.0
    assert run("export", str(config), "--to", "ollama")[2] == f"{config}: policies: has 2: name one of warm, hot\n"
    assert (
        "none is named 'hit' (did you mean 'hot'?)" in run("export", str(config), "--policy", "hit", "--to", "vllm")[2]
    )


def test_the_command_says_why_a_policy_is_greedy(tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    file.write_text('{"temperature": 0.7}')
    code, out, told = run("import", str(file), "--from", "generation_config")
    assert (code, "temperature: 0.0" in out) == (0, True)
    assert told.startswith("no part of a policy: temperature\ndo_sample is not set, and transformers does not sample")


@pytest.mark.parametrize(
    "text", ["mistral_small_3", "{preset: mistral_small_3}", "preset: mistral_small_3\nname: mine"]
)
def test_a_preset_is_exported_by_its_name(text: str) -> None:
    code, out, _ = run("export", text, "--to", "ollama")
    assert (code, json.loads(out)["temperature"]) == (0, 0.15)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("mistral_smal_3", "mistral_smal_3: no such file; shipped: "),
        ("mistral_smal_3", "; nor is it a preset (did you mean 'mistral_small_3'?) (temp-processors list presets)\n"),
        ("{preset: gemma}", "POLICY:1: preset: has to name a preset, but is 'gemma' (did you mean 'gemma3'?)\n"),
        ("{preset: gemma3, top_k: 5}", "POLICY:1: preset: is taken as it is, but top_k stands beside it: "),
    ],
)
def test_a_preset_that_is_none_is_refused(policy: str, told: str) -> None:
    code, out, error = run("export", policy, "--to", "ollama")
    assert (code, out, told in error) == (2, "", True), error


def test_the_commands_leave_out_only_what_they_are_told_to() -> None:
    text = "{kind: chain, steps: [{kind: p_less}, {kind: fixed, temperature: 0.5}]}"
    code, out, told = run("export", text, "--to", "ollama")
    assert (code, out) == (2, "")
    assert told == "not carried: steps[0]: p_less has no counterpart in Ollama\n--partial leaves it out\n"
    code, out, told = run("export", text, "--to", "ollama", "--partial")
    assert (code, json.loads(out)["temperature"]) == (0, 0.5)
    assert told == "not carried: steps[0]: p_less has no counterpart in Ollama\n"
    assert run("export", "{kind: fixed, temperature: -1}", "--to", "vllm")[2].startswith(
        "POLICY:1: temperature: has to"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.json:1: is not JSON: "),
        ('{"temperature": 0.5, "temperature": 1}', "x.json:1: has two values named 'temperature'\n"),
        ("[]", "x.json: has to be a mapping of fields, but is []\n"),
    ],
)
def test_files_that_are_no_fields(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    code, _, told = run("import", str(file), "--from", "ollama")
    assert code == 2
    assert message in told
    assert "no such file" in run("import", str(tmp_path / "y.json"), "--from", "ollama")[2].lower()
