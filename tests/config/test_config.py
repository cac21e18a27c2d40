"""The configuration: strict, and every error names file, line, field, value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoTokenizer

from temp_processors import FOX_PATH
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config, located, shipped_configs
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.plan import Plan, sample_seed

GOOD = """name: demo
prompts:
  - The quick brown fox
policies:
  - name: cold
    kind: fixed
    temperature: 0.1
  - name: falling
    kind: scheduled
    shape: linear
    start: 1.5
    end: 0.5
    steps: 10
"""


def errors(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    """The lines of the configuration error that `text` gives, without the folder."""
    path = tmp_path / "demo.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return [line.replace(f"{tmp_path}/", "") for line in str(caught.value).splitlines()]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_resolved_config_has_every_default_and_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text(GOOD)
    config = load_config(path)
    written = yaml.safe_load(config.to_yaml())
    assert set(written) == set(ExperimentConfig.model_fields) - {"launcher"}
    assert written["policies"][0] == {"name": "cold", "kind": "fixed", "temperature": 0.1}
    path.write_text(config.to_yaml())
    assert load_config(path) == config


def test_any_prompt_survives_being_written(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    prompts = ["caf\u00e9 \U0001f98a", "one\x85two", "one\u2028two\u2029three", "tab\there\r\nnext"]
    config = ExperimentConfig.model_validate({**yaml.safe_load(GOOD), "prompts": prompts})
    path.write_bytes(config.to_yaml().encode())
    assert load_config(path) == config


@pytest.mark.parametrize("name", sorted(path.name for path in shipped_configs().glob("*.yaml")))
def test_shipped_configs_are_valid_and_found_by_name(name: str) -> None:
    assert load_config(shipped_configs() / name) == load_config(name) == load_config(Path(name).stem)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "    start: 1.5",
            "    strat: 1.5",
            "demo.yaml:11: policies.1.strat: not a field of 'scheduled' (did you mean 'start'?)",
        ),
        (
            "temperature: 0.1",
            "temperature: 1e-1",
            "demo.yaml:7: policies.0.temperature: has to be a number, but YAML 1.1 reads 1e-1 as text (it wants 1.0e-1): write 0.1",
        ),
        (
            "kind: fixed",
            "kind: fixd",
            "demo.yaml:6: policies.0.kind: 'fixd' is not a kind of policy (did you mean 'fixed'?)",
        ),
        (
            "prompts:\n  - The quick brown fox",
            "prompts: []",
            "demo.yaml:2: prompts: has to hold at least 1 item, but is []",
        ),
        ("name: falling", "name: cold", "demo.yaml:4: policies: policies 0 and 1 are both named 'cold'"),
        ("name: demo", "name: demo\nname: other", "demo.yaml:2: name: is set twice, first in line 1: keep one"),
        (
            "name: demo",
            "name: demo\nsample_per_prompt: 3",
            "demo.yaml:2: sample_per_prompt: not a field of the configuration (did you mean 'samples_per_prompt'?)",
        ),
        (
            "name: demo",
            "name: a/b",
            "demo.yaml:1: name: names a run folder, so it may not hold a slash or be a dot, but is 'a/b'",
        ),
        ("  - The quick brown fox", "  - ' '", "demo.yaml:3: prompts.0: has to hold some text, but is ' '"),
        (
            "name: demo",
            "name: demo\nmetrics: [distnct_2]",
            "demo.yaml:2: metrics.0: 'distnct_2' is not a metric (did you mean 'distinct_2'?)",
        ),
        (
            "- The quick",
            "- yes\n  - The quick",
            "demo.yaml:3: prompts.0: has to be a text, but is True: as a text it stands in quotes",
        ),
        (
            "name: demo",
            "name: 2024-01-01",
            "demo.yaml:1: name: has to be a text, but is 2024-01-01: as a text it stands in quotes",
        ),
        (
            "- The quick",
            "- Q: The quick",
            "demo.yaml:3: prompts.0: has to be a text, but is {'Q': 'The quick brown fox'}: a text with a colon",
        ),
        (
            "name: demo",
            "name: demo\nbatch_size: automatic",
            "demo.yaml:2: batch_size: has to be a whole number or 'auto', but is 'automatic'",
        ),
        (
            "name: demo",
            "name: demo\nmodel: {device_map: [1]}",
            "demo.yaml:2: model.device_map: has to be a text or a mapping, but is [1]",
        ),
        (
            "- name: cold",
            "- 0.5\n  - name: cold",
            "demo.yaml:5: policies.0: has to be a mapping, but is 0.5: a temperature is written "
            "{name: T=0.5, kind: fixed, temperature: 0.5}",
        ),
        (
            "- name: cold",
            "- {name: x, kind: phase, open_ids: 1, close_ids: 2, inside: 0.5, outside: 1}\n  - name: cold",
            "demo.yaml:5: policies.0.inside: has to be a mapping with a `kind`, but is 0.5: a temperature is written {kind: fixed, ",
        ),
        ("name: demo", "name: demo\nmodel: ''", "demo.yaml:2: model: has to hold some text, but is ''"),
        ("name: demo", "name: demo\nout: ' '", "demo.yaml:2: out: has to hold some text, but is ' '"),
        (
            "name: falling",
            'name: "cold\\u200b "',
            "demo.yaml:4: policies: policies 0 and 1 have names that look the same: 'cold', 'cold\\u200b '",
        ),
        (
            "prompts:\n  - The quick brown fox",
            "prompts:[a]",
            "demo.yaml:2: is not valid YAML: while scanning a simple key, could not find expected ':' with a space",
        ),
        (
            "- name: cold",
            "- {name:x, kind:fixed, temperature: 1}\n  - name: cold",
            "demo.yaml:5: policies.0.name: is required and missing: 'name:x' has to have a space",
        ),
        (
            "- name: cold",
            "- {name:x, kind:fixed, temperature: 1}\n  - name: cold",
            "demo.yaml:5: policies.0.kind: 'kind:fixed' has to have a space after the colon",
        ),
        (
            "- name: cold",
            "- {name: x, temperature: 1}\n  - name: cold",
            "demo.yaml:5: policies.0.kind: is required and missing: `kind` says which policy this is; allowed: fixed, ",
        ),
        (
            "- name: cold",
            "- {name: x, kind: fixed, temperature: 0,5}\n  - name: cold",
            "demo.yaml:5: policies.0.5: has to be a text, as every name of a field, but is 5 (a number has a decimal point",
        ),
    ],
)
def test_each_mistake_is_named_at_its_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    found = errors(tmp_path, changed(old, new))
    assert any(found_line.startswith(line) for found_line in found), found


@pytest.mark.parametrize("value", ["true", ".nan", ".inf", "-1", "-0.5", "warm"])
def test_bad_temperatures_are_refused_by_field_and_value(tmp_path: Path, value: str) -> None:
    (line,) = errors(tmp_path, changed("temperature: 0.1", f"temperature: {value}"))
    assert line.startswith("demo.yaml:7: policies.0.temperature: ")


def test_a_server_does_not_couple() -> None:
    with pytest.raises(
        ConfigError, match=r"`coupled` is for .*, but engine is 'vllm' at a server, which draws by itself"
    ):
        load_config("fox", ["coupled=true", "engine=vllm", "base_url=http://localhost:8000/v1"])
    assert load_config("fox", ["coupled=true", "engine=vllm"]).coupled


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = changed("temperature: 0.1", "temperature: -1").replace("steps: 10", "stepz: 10").replace("name: demo\n", "")
    assert len(errors(tmp_path, text)) >= 3


def test_overrides_are_merged_before_validation(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text(GOOD)
    config = load_config(path, ["policies.0.temperature=2", "samples_per_prompt=3"], out=tmp_path / "x")
    assert config.policies[0].policy.model_dump()["temperature"] == 2
    assert (config.samples_per_prompt, config.folder) == (3, tmp_path / "x")
    (line,) = errors(tmp_path, GOOD, "policies.0.temperature=hot")
    assert line.startswith("--set policies.0.temperature=hot: policies.0.temperature: has to be a number")


def test_a_missing_file_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match=r"foxx\.yaml: no such file \(did you mean 'fox'\?\)"):
        load_config("foxx.yaml")


def test_plan_counts_and_seeds_depend_on_the_sample_alone(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text(GOOD)
    plan = Plan(load_config(path))
    jobs = list(plan.jobs())
    assert len(jobs) == len(plan) == 2 * 1 * 16
    assert len({job.seed for job in jobs}) == len(jobs)
    assert jobs[3].seed == sample_seed(0, 0, 3, "cold")
    assert "2 policies x 1 prompt x 16 samples = 32 texts, at most 1,536 new tokens" in str(plan)


def test_frozen(tmp_path: Path) -> None:
    config: Any = load_config("fox")
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1


def test_policies_that_differ_by_row_have_no_place_in_a_run(tmp_path: Path) -> None:
    text = "name: x\nprompts: [a]\npolicies:\n  - {name: p, kind: rows, policies: [{kind: fixed, temperature: 1.0}]}\n"
    (found,) = errors(tmp_path, text)
    assert found.startswith("demo.yaml:4: policies.0: differs from row to row of a batch")


def test_what_only_the_tokenizer_knows_is_refused_with_file_and_line(tmp_path: Path) -> None:
    """As the command does it: found when the model is there, told as if found while reading."""
    path = tmp_path / "demo.yaml"
    path.write_text(GOOD + "    reset_ids: [99999]\n")
    tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
    with pytest.raises(ConfigError) as caught:
        LocalEngine(None, tokenizer).prepare(load_config(path))
    expected = f"{path}:8: policies.1: `reset_ids[0]` has to be a number in [0, 1023] (the ids of the tokenizer), "
    assert str(located(caught.value, path)) == expected + "but is 99999"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("engine_options={max_num_sqs: 3}", "not a field of `engine_options` (did you mean 'max_num_seqs'?)"),
        ("prompts={file: a.txt, colum: x}", "not a field of `prompts` (did you mean 'column'?)"),
        ("traces={topk: 3}", "not a field of `traces` (did you mean 'top_k'?)"),
        ("policies.0.nam=x", "not a field of 'fixed' (did you mean 'name'?)"),
        (
            "policies.0={name: p, kind: product, policies: [{kind: fixed, temprature: 1.0}]}",
            "policies.0.policies.0.temprature: not a field of 'fixed' (did you mean 'temperature'?)",
        ),
        (
            "policies.0={name: p, kind: chain, steps: [{kind: fixed, temperature: 1.0}, {kind: top_p, topp: 0.9}]}",
            "policies.0.steps.1.topp: not a field of 'top_p' (did you mean 'top_p'?)",
        ),
        (
            "policies.0={name: p, kind: truncate_then_temper, top_k: 3, policy: {kind: edt, name: x}}",
            "policies.0.policy.name: not a field of 'edt'; allowed: kind, temperature, theta, base",
        ),
    ],
)
def test_an_unknown_field_is_told_with_the_fields_of_its_owner(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("fox", [setting])
    assert message in str(caught.value)


@pytest.mark.parametrize("setting", ["batch_size=automatic", "batch_size='8'", "model={device_map: 1.5}"])
def test_a_value_that_no_form_of_a_field_takes_is_one_mistake(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("fox", [setting])
    assert len(caught.value.problems) == 1


def test_data_of_a_program_is_not_called_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"^the configuration: prompts: has to hold at least 1 item, but is \[\]$"):
        load_config({**yaml.safe_load(GOOD), "prompts": []})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fox", "seed=1"), "overrides: have to be a list of texts such as ['seed=1'], but are 'seed=1'"),
        (("fox", 5), "overrides: have to be a list of texts such as ['seed=1'], but are 5"),
        ((None,), "path: has to be a file, the name of a shipped configuration or a mapping, but is None"),
        ((b"fox",), "path: has to be a file, the name of a shipped configuration or a mapping, but is b'fox'"),
        (("fox", [], 5), "out: has to be a folder, but is 5"),
    ],
)
def test_arguments_of_another_type_are_one_complaint(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(*arguments)
    assert str(caught.value) == message


def test_primary_is_one_of_the_metrics_and_none_by_default() -> None:
    assert load_config("fox").primary is None
    assert load_config("fox", ["primary=distinct_2"]).primary == "distinct_2"
    with pytest.raises(
        ConfigError, match=r"`primary` has to be one of `metrics`, but is 'distinkt_2' \(did you mean 'distinct_2'\?\)"
    ):
        load_config("fox", ["primary=distinkt_2"])
    with pytest.raises(ConfigError, match="`primary` has to be one of `metrics`, but is 'mtld'"):
        load_config("fox", ["primary=mtld"])


def test_a_stored_configuration_without_primary_still_loads() -> None:
    stored = yaml.safe_load(load_config("fox").to_yaml())
    assert stored.pop("primary") is None
    assert ExperimentConfig.model_validate(stored) == load_config("fox")
