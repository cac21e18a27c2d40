"""A GGUF file of a tiny Llama with the tokenizer of `fox`, written by the gguf package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter, TokenType

from temp_processors.fox import FOX_PATH
from tests.models import tiny_llama

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def llama_of_fox() -> Any:
    """The model that the file holds."""
    tokens = json.loads((FOX_PATH / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return tiny_llama(vocab_size=len(tokens), num_key_value_heads=2, bos_token_id=1, eos_token_id=2)


def write_gguf(path: Path) -> Path:
    """Write the file, in float32, so that what is read is what was written."""
    model, inner = llama_of_fox(), json.loads((FOX_PATH / "tokenizer.json").read_text(encoding="utf-8"))
    config, vocabulary = model.config, inner["model"]["vocab"]
    special = {token["id"] for token in inner["added_tokens"]}
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    kinds = [TokenType.CONTROL if place in special else TokenType.NORMAL for place in range(len(vocabulary))]
    writer.add_token_types(kinds)
    writer.add_token_merges([rule if isinstance(rule, str) else " ".join(rule) for rule in inner["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(_gguf_name(name), np.ascontiguousarray(_permuted(name, tensor.numpy(), config)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _gguf_name(name: str) -> str:
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    stem = name.removesuffix(".weight")
    if stem in whole:
        return f"{whole[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def _permuted(name: str, weight: Any, config: Any) -> Any:
    """llama.cpp keeps the two halves of a rotated pair side by side."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return weight
    heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
