"""Tiny models and a tokenizer, built in code: the same ones in every process, with no file and no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

VOCABULARY = 97
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ</> .,!?\n"


def tiny_llama(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """A random decoder of two layers, loud enough that its distributions are far from uniform.

    Args:
        seed: Of its weights.
        changes: Fields of `LlamaConfig` other than these.
    """
    fields: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.4,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**{**fields, **changes})).eval()


def tiny_t5(seed: int = 0, **changes: Any) -> T5ForConditionalGeneration:
    """A random encoder-decoder of two layers.

    Args:
        seed: Of its weights.
        changes: Fields of `T5Config` other than these.
    """
    fields: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    return T5ForConditionalGeneration(T5Config(**{**fields, **changes})).eval()


def tiny_tokenizer(special: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """One token for every letter and mark: `<pad>` is 0, `</s>` 1, `<unk>` 2, then `LETTERS`.

    Args:
        special: Further tokens, whole wherever they stand in a text.
    """
    vocabulary = {token: place for place, token in enumerate(["<pad>", "</s>", "<unk>", *LETTERS])}
    letters = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer
