"""The main job end to end: run folder, table, refusals; on the model that ships."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from typer.testing import CliRunner

import temp_processors
from temp_processors.cli.app import app
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.runs.folder import Run, RunFolderError

SMALL = ["samples_per_prompt=3", "max_new_tokens=6"]


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_experiment(load_config("fox", SMALL, out=tmp_path_factory.mktemp("runs") / "small"))


def test_the_run_folder_holds_what_it_should(small_run: Run) -> None:
    names = {path.name for path in small_run.path.iterdir()}
    assert {
        "config.yaml",
        "environment.json",
        "stack.json",
        "samples.jsonl",
        "metrics.json",
        "comparison.csv",
        "DONE",
    } <= names
    assert small_run.complete
    resolved = yaml.safe_load((small_run.path / "config.yaml").read_text())
    assert ExperimentConfig.model_validate(resolved).samples_per_prompt == 3
    assert json.loads((small_run.path / "environment.json").read_text())["packages"]["torch"] == torch.__version__


def test_every_sample_is_one_object_with_the_named_fields(small_run: Run) -> None:
    lines = [json.loads(line) for line in (small_run.path / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == 6 * 3
    assert set(lines[0]) == {
        "policy", "prompt_id", "sample_id", "seed", "prompt", "text", "token_ids", "finish_reason", "log_prob",
        "check",
    }  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
    for line in lines:
        assert tokenizer.decode(line["token_ids"]) == line["text"]
        assert not line["text"].startswith("The quick")
        assert line["finish_reason"] == "length"


def test_metrics_have_value_and_signature_and_the_csv_agrees(small_run: Run) -> None:
    policies = json.loads((small_run.path / "metrics.json").read_text())["policies"]
    assert list(policies) == ["T=0.1", "T=0.5", "T=1.0", "T=1.5", "cooling", "dynamic"]
    with (small_run.path / "comparison.csv").open() as file:
        rows = {row["policy"]: row for row in csv.DictReader(file)}
    for name, row in policies.items():
        for metric, score in row.items():
            assert "|v:" in score["signature"]
            assert float(rows[name][metric]) == score["value"]
            change = score["difference"]
            assert rows[name][f"{metric}_statement"] == (change["statement"] if change else "")
            assert rows[name][f"{metric}_difference"] == (str(change["value"]) if change else "")


def test_log_prob_is_that_of_the_untempered_model(small_run: Run) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(FOX_PATH), AutoModelForCausalLM.from_pretrained(FOX_PATH)
    for sample in list(small_run.samples)[:4]:
        prompt = tokenizer(sample.prompt)["input_ids"]
        ids = torch.tensor([prompt + sample.token_ids])
        with torch.inference_mode():
            log_probs = model(ids).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
        expected = log_probs.gather(-1, ids[0, len(prompt) :, None]).sum().item()
        assert sample.log_prob == pytest.approx(expected, abs=1e-4)


def test_samples_can_be_looped_over_counted_and_picked(small_run: Run) -> None:
    samples = temp_processors.Run.load(str(small_run.path)).samples
    assert len(samples) == len(list(samples)) == 18
    assert samples[0] == next(iter(samples))
    assert samples[-1] == samples[17] == list(samples)[17]
    with pytest.raises(IndexError, match="there are 18 samples, so there is none at 18"):
        samples[18]


def test_only_a_complete_run_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="holds no complete run"):
        Run.load(tmp_path)


def test_policies_alone_import_neither_scipy_nor_pyarrow() -> None:
    code = "import sys, temp_processors; sys.exit(bool({'scipy.stats', 'pyarrow', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_configuration_gives_the_same_samples_in_any_batch_size(small_run: Run, tmp_path: Path) -> None:
    again = run_experiment(load_config("fox", [*SMALL, "batch_size=5"], out=tmp_path / "again"))
    texts = [{(s.policy, s.sample_id): s.text for s in run.samples} for run in (small_run, again)]
    assert texts[0] == texts[1]


def test_coupled_policies_share_their_random_numbers(small_run: Run, tmp_path: Path) -> None:
    run = run_experiment(
        load_config("fox", [*SMALL, "coupled=true", "policies.1.temperature=0.1"], out=tmp_path / "run")
    )
    seeds = {(s.policy, s.sample_id): s.seed for s in run.samples}
    texts = {(s.policy, s.sample_id): s.text for s in run.samples}
    for sample in range(3):
        assert len({seeds[policy, sample] for policy, _ in seeds}) == 1
        assert texts["T=0.1", sample] == texts["T=0.5", sample]
    assert len(set(seeds.values())) == 3
    assert len({s.seed for s in small_run.samples}) == 18
    assert "coupled" in (run.path / "stack.json").read_text()


def test_an_existing_run_is_not_overwritten_unless_told(small_run: Run) -> None:
    config = load_config("fox", SMALL, out=small_run.path)
    before = (small_run.path / "samples.jsonl").read_bytes()
    with pytest.raises(RunFolderError, match=r"holds a complete run; choose another folder with --out, or"):
        run_experiment(config)
    assert (small_run.path / "samples.jsonl").read_bytes() == before


@pytest.fixture
def opinionated(tmp_path: Path) -> Path:
    """A checkpoint whose generation_config brings a temperature and a truncation of its own."""
    folder = tmp_path / "opinionated"
    AutoTokenizer.from_pretrained(FOX_PATH).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(FOX_PATH)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.6, top_k=20, eos_token_id=2, bos_token_id=1, pad_token_id=0
    )
    model.save_pretrained(folder)
    return folder


def test_a_temperature_of_the_checkpoint_is_refused_or_neutralised(opinionated: Path, tmp_path: Path) -> None:
    overrides = [*SMALL, f"model={opinionated}"]
    refused = invoke("run", "fox", *flags(overrides), "--out", str(tmp_path / "refused"))
    assert refused.exit_code == 2
    assert "sets temperature=0.6, top_k=20, so temperature would be set twice" in refused.stderr
    assert not (tmp_path / "refused").exists()
    run = run_experiment(load_config("fox", [*overrides, "checkpoint_sampling=neutralise"], out=tmp_path / "run"))
    plain = run_experiment(load_config("fox", SMALL, out=tmp_path / "plain"))
    assert [s.text for s in run.samples] == [s.text for s in plain.samples]
    assert json.loads((run.path / "stack.json").read_text())["neutralised"] == {"temperature": 0.6, "top_k": 20}


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def flags(overrides: list[str]) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


def test_the_command_prints_stack_table_texts_and_folder(tmp_path: Path) -> None:
    done = invoke("run", "fox", *flags(SMALL), "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    assert "T=0.1    fixed(temperature=0.1) -> SeededSampling" in done.stdout
    assert all(heading in done.stdout for heading in ("distinct", "self-BLEU", "perplex", "length"))
    assert "\nThe quick brown fox" in done.stdout
    assert all(f"\n  {name}  " in done.stdout for name in ("T=0.1  ", "T=1.5  ", "dynamic"))
    assert "signatures: " not in done.stdout
    assert re.search(r"scoring: \d+\.\d s\ntraces: \d+\.\d s\npage: \d+\.\d s\n", done.stderr)
    assert f"run folder: {tmp_path / 'run'}" in done.stdout


def test_dry_run_says_what_would_run_and_writes_nothing(tmp_path: Path) -> None:
    done = invoke("run", "fox", "--dry-run", "--out", str(tmp_path / "run"))
    assert done.exit_code == 0
    assert "6 policies x 1 prompt x 64 samples = 384 texts" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["fox", "--set", "policies.0.temperature=true"], "policies.0.temperature: has to be a number"),
        (["fox", "--set", "model=./nowhere"], "model: './nowhere' is neither a folder nor a model that can be fetched"),
        (["fox", "--set", "prompts=[]"], "prompts: "),
    ],
)
def test_a_mistake_ends_with_code_2_and_one_clear_message(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = invoke("run", *arguments, "--out", str(tmp_path / "run"))
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("where", ["fox", "stories260k"])
def test_fixed_gives_the_tokens_of_generates_own_temperature(
    where: str, temperature: float, request: pytest.FixtureRequest
) -> None:
    folder = FOX_PATH if where == "fox" else request.getfixturevalue("shared") / "models" / "stories260k"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    inputs = tokenizer(["The quick brown fox"] * 4, return_tensors="pt", return_token_type_ids=False)
    common = {"do_sample": True, "top_k": 0, "max_new_tokens": 20}
    torch.manual_seed(5)
    theirs = model.generate(**inputs, **common, temperature=temperature)
    torch.manual_seed(5)
    warper = FixedTemperatureLogitsWarper(temperature)
    ours = model.generate(**inputs, **common, temperature=1.0, logits_processor=[warper])
    assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_batches_of_1_7_and_64_give_the_same_texts(tmp_path: Path) -> None:
    """384 texts each. Neighbours in a batch move the last bits of logits, which no text of these shows."""
    runs = [run_experiment(load_config("fox", [f"batch_size={n}"], out=tmp_path / str(n))) for n in (1, 7, 64)]
    texts = [{(s.policy, s.sample_id): s.token_ids for s in run.samples} for run in runs]
    differing = [sum(texts[0][key] != other[key] for key in texts[0]) for other in texts[1:]]
    assert differing == [0, 0]


@pytest.mark.slow
def test_what_the_table_of_the_fox_config_shows(tmp_path: Path) -> None:
    run = run_experiment(load_config("fox", out=tmp_path / "fox"))
    scores = json.loads((run.path / "metrics.json").read_text())["policies"]
    names = ["T=0.1", "T=0.5", "T=1.0", "T=1.5"]
    distinct = [scores[name]["distinct_2"]["value"] for name in names]
    bleu = [scores[name]["self_bleu_4"]["value"] for name in names]
    assert distinct == sorted(set(distinct))
    assert bleu == sorted(set(bleu), reverse=True)
    texts = {name: [s.text for s in run.samples if s.policy == name] for name in names}
    assert sum(text.startswith(" jumped over the lazy dog.") for text in texts["T=0.1"]) >= 0.95 * 64
    assert len(set(texts["T=0.1"])) <= 24
    assert len(set(texts["T=1.0"])) >= 0.9 * 64


def test_transformers_own_test_of_its_temperature_warper_holds() -> None:
    """Sharper below 1, smoother above 1, a flat row stays flat, and the scores that were passed are left as they were."""
    scores = torch.full((2, 20), 1 / 20)
    scores[1, 5], scores[1, 10] = 1 / 20 + 0.1, 1 / 20 - 0.4
    before, ids = scores.clone(), torch.zeros(2, 1, dtype=torch.long)
    sharp = FixedTemperatureLogitsWarper(0.5)(ids, scores).softmax(-1)
    smooth = FixedTemperatureLogitsWarper(1.3)(ids, scores).softmax(-1)
    plain = scores.softmax(-1)
    torch.testing.assert_close(plain[0], sharp[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(plain[0], smooth[0], atol=1e-3, rtol=0)
    assert plain[1].max() < sharp[1].max()
    assert plain[1].min() > sharp[1].min()
    assert plain[1].max() > smooth[1].max()
    assert plain[1].min() < smooth[1].min()
    assert torch.equal(scores, before)


def test_the_name_of_a_configuration_is_none() -> None:
    with pytest.raises(TypeError, match=r"`config` has to be what load_config\(\) gives, but is 'fox'"):
        run_experiment("fox")  # type: ignore[arg-type]
