"""Experiments on other kinds of model than the one that ships: encoder-decoder, and one whose past cannot be batched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    MambaConfig,
    MambaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.engines.engine import ModelError
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.sampling import SeededSampling

VOCAB = 1024
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 0}
SETTINGS = ["samples_per_prompt=3", "max_new_tokens=5", "prompts=[The quick brown fox, A dog sat by the river]"]


def t5() -> Any:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    return T5ForConditionalGeneration(T5Config(vocab_size=VOCAB, **sizes, **IDS))


def bart() -> Any:
    sizes = {"d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_layers": 2, "decoder_layers": 2}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    return BartForConditionalGeneration(
        BartConfig(vocab_size=VOCAB, max_position_embeddings=12, forced_eos_token_id=None, **sizes, **heads, **IDS)
    )


def mamba() -> Any:
    sizes = {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2}
    return MambaForCausalLM(MambaConfig(vocab_size=VOCAB, **sizes, pad_token_id=0, bos_token_id=1, eos_token_id=2))


def saved(make: Any, folder: Path) -> Path:
    torch.manual_seed(0)
    make().save_pretrained(folder)
    AutoTokenizer.from_pretrained(FOX_PATH).save_pretrained(folder)
    return folder


def test_a_tokenizer_without_a_pad_token(tmp_path: Path) -> None:
    """Prompts of different lengths share a batch all the same, and give the texts that they give alone."""
    folder = tmp_path / "model"
    AutoModelForCausalLM.from_pretrained(FOX_PATH).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).pad_token_id is None
    texts = []
    for model in (folder, "fox"):
        config = load_config("fox", [*SETTINGS, f"model={model}"], out=tmp_path / f"run-{len(texts)}")
        texts.append(sorted((s.policy, s.prompt_id, s.sample_id, s.text) for s in run_experiment(config).samples))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("make", [t5, bart])
def test_encoder_decoder_models(make: Any, tmp_path: Path) -> None:
    """Each text is the one that generate() gives for its prompt, policy and seed alone."""
    model_folder = saved(make, tmp_path / "model")
    run = run_experiment(load_config("fox", [*SETTINGS, f"model={model_folder}"], out=tmp_path / "run"))
    tokenizer, model = AutoTokenizer.from_pretrained(model_folder), AutoModelForSeq2SeqLM.from_pretrained(model_folder)
    temperatures = {"T=0.1": 0.1, "T=0.5": 0.5, "T=1.0": 1.0, "T=1.5": 1.5}
    samples = [sample for sample in run.samples if sample.policy in temperatures]
    assert len(samples) == 4 * 2 * 3
    for sample in samples:
        stack = [
            FixedTemperatureLogitsWarper(temperatures[sample.policy]),
            SeededSampling([sample.seed], prompt_length=1),
        ]
        inputs = tokenizer(sample.prompt, return_tensors="pt", return_token_type_ids=False)
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=5, logits_processor=stack)[0, 1:].tolist()
        assert sample.token_ids == (ids[: ids.index(2)] if 2 in ids else ids)
    assert not (run.path / "traces.parquet").exists()


def test_the_command_says_that_there_are_no_traces(tmp_path: Path) -> None:
    flags = [part for setting in [*SETTINGS, f"model={saved(t5, tmp_path / 'model')}"] for part in ("--set", setting)]
    done = CliRunner().invoke(app, ["run", "fox", *flags, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "no traces: encoder-decoder models are not traced" in done.stdout
    assert (tmp_path / "run" / "report.html").exists()


def test_a_prompt_longer_than_the_encoder(tmp_path: Path) -> None:
    settings = [
        *SETTINGS,
        f"model={saved(bart, tmp_path / 'model')}",
        "prompts=[The fox. The fox. The fox. The fox. A dog.]",
    ]
    with pytest.raises(ModelError, match=r"prompts.0: has \d+ tokens, but the model's context holds 12"):
        run_experiment(load_config("fox", settings, out=tmp_path / "run"))


def test_a_model_whose_past_cannot_be_batched_runs_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = [*SETTINGS, "batch_size=4", f"model={saved(mamba, tmp_path / 'model')}"]
    run = run_experiment(load_config("fox", settings, out=tmp_path / "run"))
    assert len(run.samples) == 6 * 2 * 3
    said = [record.message for record in caplog.records if "plain generate()" in record.message]
    assert said == ["MambaForCausalLM: rows go through plain generate(), which is slower (it keeps a recurrent state)"]
