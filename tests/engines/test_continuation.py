"""The text of new tokens behind their prompt, with tokenizers that drop the first space and with those that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.continuation import continuation_text
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from tests.models import tiny_llama

WORDS = ["▁Hello", "▁was", "▁a", "▁big", ",", "▁", "é"]


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """Words with their space before them, and bytes for all else, as sentencepiece tokenizers of Llama have them."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *WORDS, *"HelowasbigHo"]
    vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    steps = [("▁", "H"), ("▁H", "e"), ("▁He", "l"), ("▁Hel", "l"), ("▁Hell", "o")]
    for left, right in steps:
        vocabulary.setdefault(left + right, len(vocabulary))
    inner = Tokenizer(models.BPE(vocabulary, steps, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    plain = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(plain)
    inner.add_special_tokens([AddedToken(piece, special=True) for piece in ("<unk>", "<s>", "</s>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )


def test_the_space_before_the_first_word_stays() -> None:
    tokenizer = llama_tokenizer()
    prompt = tokenizer("Hello", add_special_tokens=False)["input_ids"]
    new = tokenizer.convert_tokens_to_ids(["▁was", "▁a", "▁big", ","])
    assert tokenizer.decode(new) == "was a big,"
    assert continuation_text(tokenizer, prompt, new) == " was a big,"
    assert continuation_text(tokenizer, [1, *prompt], [*new, 2]) == " was a big,"
    assert continuation_text(tokenizer, prompt * 200, new) == " was a big,"


def test_without_a_prompt_the_text_is_that_of_the_tokens() -> None:
    tokenizer = llama_tokenizer()
    new = tokenizer.convert_tokens_to_ids(["▁was", "▁a"])
    assert continuation_text(tokenizer, [], new) == "was a"
    assert continuation_text(tokenizer, [1], new) == "was a"
    assert continuation_text(tokenizer, [1], []) == ""


def test_a_prompt_that_ends_inside_a_character() -> None:
    """The prompt's text changes with what follows, so the new tokens are decoded alone."""
    tokenizer = llama_tokenizer()
    first, second = tokenizer.convert_tokens_to_ids(["<0xC3>", "<0xA9>"])
    assert continuation_text(tokenizer, [first], [second]) == tokenizer.decode([second])


@pytest.mark.parametrize("prompt", ["The quick brown fox", "Once ", "🦊", "a\n"])
def test_texts_of_byte_level_tokenizers_stay_as_they_are(prompt: str) -> None:
    fox = AutoTokenizer.from_pretrained(FOX_PATH)
    before = fox(prompt)["input_ids"]
    for text in (" ran home.", "ran", "\n\nThe end", " 🦊", ""):
        new = fox(text)["input_ids"]
        assert continuation_text(fox, before, new) == fox.decode(new, skip_special_tokens=True)


def test_the_samples_of_a_run_continue_their_prompts(tmp_path: Path) -> None:
    tokenizer = llama_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_llama(vocab_size=len(tokenizer)).save_pretrained(tmp_path / "model")
    config = ExperimentConfig.model_validate(
        {
            "name": "llama",
            "model": str(tmp_path / "model"),
            "prompts": ["Hello", "Hello Hello"],
            "samples_per_prompt": 32,
            "max_new_tokens": 3,
            "policies": [{"name": "hot", "kind": "fixed", "temperature": 5.0}],
            "metrics": ["distinct_1"],
            "tokenizer": "model",
            "traces": False,
            "out": str(tmp_path / "run"),
        }
    )
    run = run_experiment(config)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "model")
    started_with_a_word = 0
    for sample in run.samples:
        text = loaded.decode([*loaded(sample.prompt)["input_ids"], *sample.token_ids], skip_special_tokens=True)
        if "\ufffd" not in text:
            assert sample.prompt + sample.text == text
        started_with_a_word += sample.text.startswith(" ")
    assert started_with_a_word
    assert (
        "|tok:hf:model|"
        in json.loads((tmp_path / "run" / "metrics.json").read_text())["policies"]["hot"]["distinct_1"]["signature"]
    )
