"""Models of many architectures, two layers each with random weights, from their configurations alone: no file, no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSeq2SeqLM

VOCABULARY = 97
IDS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
DECODER = {
    **IDS,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
EIGHT = {**DECODER, "head_dim": 8}
SLIDING = {**EIGHT, "sliding_window": 16}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GPT = {**IDS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
STATE_SPACE = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8}
MAMBA = {**IDS, "hidden_size": 32, "state_size": 4, "num_hidden_layers": 2}
LATENT = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
SEQ2SEQ = {
    **IDS,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 256,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}

BATCHED: Mapping[str, dict[str, Any]] = {
    "llama": DECODER,
    "mistral": {**DECODER, "sliding_window": 16},
    "mixtral": {**DECODER, **EXPERTS},
    "qwen2": DECODER,
    "qwen3": EIGHT,
    "qwen3_moe": {**EIGHT, **EXPERTS},
    "gemma2": SLIDING,
    "gemma3_text": SLIDING,
    "gemma3n_text": {
        **SLIDING,
        "num_kv_shared_layers": 0,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "intermediate_size": [48, 48],
        "activation_sparsity_pattern": [0.0, 0.0],
    },
    "phi": DECODER,
    "phi3": {**DECODER, "original_max_position_embeddings": 256},
    "stablelm": DECODER,
    "olmo2": DECODER,
    "cohere": DECODER,
    "cohere2": {**DECODER, "sliding_window": 16},
    "deepseek_v3": {
        **DECODER,
        **LATENT,
        "num_key_value_heads": 4,
        "n_routed_experts": 4,
        "moe_intermediate_size": 32,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
    },
    "gpt_oss": {**SLIDING, **EXPERTS},
    "llama4_text": {**EIGHT, **EXPERTS, "intermediate_size_mlp": 48},
    "glm4": EIGHT,
    "smollm3": DECODER,
    "exaone4": {**DECODER, "sliding_window": 16},
    "diffllama": DECODER,
    "doge": DECODER,
    "bitnet": DECODER,
    "gpt2": GPT,
    "gpt_neo": {
        **IDS,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 16,
        "max_position_embeddings": 256,
    },
    "gpt_neox": DECODER,
    "gptj": {**GPT, "rotary_dim": 4},
    "codegen": {**GPT, "rotary_dim": 4},
    "openai-gpt": GPT,
    "ctrl": {**GPT, "dff": 48},
    "opt": {
        **IDS,
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
    },
    "bloom": {**IDS, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mpt": {**IDS, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 256},
    "lfm2": {**DECODER, "layer_types": ["conv", "full_attention"]},
    "bert": {**DECODER, "is_decoder": True},
    "falcon": {**IDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    "bart decoder": {**SEQ2SEQ, "encoder_layers": 4},
    "xlm": {
        **IDS,
        "emb_dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "max_position_embeddings": 256,
        "mask_token_id": 3,
        "lang_id": 0,
        "causal": False,
        "n_langs": 1,
    },
    "bert encoder": DECODER,
    "t5": {**IDS, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
    "t5gemma": {**IDS, "encoder": SLIDING, "decoder": SLIDING},
    "mbart": SEQ2SEQ,
    "marian": SEQ2SEQ,
    "pegasus": SEQ2SEQ,
    "bart": SEQ2SEQ,
    "llava": {
        "text_config": {"model_type": "llama", **DECODER},
        "vision_config": {"model_type": "clip_vision_model", **VISION, "image_size": 8, "patch_size": 4},
        "image_token_index": 96,
    },
    "qwen2_vl": {
        "text_config": {
            **DECODER,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        },
        "vision_config": {"embed_dim": 32, "hidden_size": 32, "depth": 1, "num_heads": 4, "patch_size": 4},
        "image_token_id": 96,
        "video_token_id": 95,
        "vision_start_token_id": 94,
        "vision_end_token_id": 93,
    },
}
"""Rows of several prompts in one batch, XLM's of one length at a time."""

BY_GENERATE: Mapping[str, dict[str, Any]] = {
    "bamba": {**DECODER, **STATE_SPACE, "attn_layer_indices": [1]},
    "falcon_h1": {**DECODER, **STATE_SPACE, "mamba_d_ssm": 64},
    "jamba": {
        **DECODER,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "num_experts": 2,
        "num_experts_per_tok": 1,
        "use_mamba_kernels": False,
        "mamba_d_state": 4,
        "mamba_dt_rank": 4,
    },
    "zamba2": {
        **DECODER,
        "num_key_value_heads": 4,
        "mamba_d_state": 8,
        "mamba_ngroups": 1,
        "n_mamba_heads": 4,
        "mamba_headdim": 16,
        "layers_block_type": ["mamba", "hybrid"],
        "num_mem_blocks": 1,
        "attention_head_dim": 16,
        "attention_hidden_size": 64,
        "use_mamba_kernels": False,
    },
    "granitemoehybrid": {
        **DECODER,
        **STATE_SPACE,
        "layer_types": ["mamba", "attention"],
        "shared_intermediate_size": 32,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "nemotron_h": {
        **EIGHT,
        "layers_block_type": ["mamba", "attention"],
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "n_groups": 1,
        "ssm_state_size": 8,
    },
    "mamba": MAMBA,
    "mamba2": {**MAMBA, "state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1},
    "falcon_mamba": MAMBA,
    "recurrent_gemma": {
        **EIGHT,
        "lru_width": 32,
        "attention_window_size": 16,
        "block_types": ["recurrent", "attention"],
    },
    "qwen3_next": {
        **EIGHT,
        **EXPERTS,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
        "shared_expert_intermediate_size": 32,
    },
    "reformer": {
        **IDS,
        "is_decoder": True,
        "hidden_size": 32,
        "feed_forward_size": 48,
        "num_attention_heads": 2,
        "attention_head_size": 8,
        "axial_pos_shape": [16, 16],
        "axial_pos_embds_dim": [16, 16],
        "attn_layers": ["local", "local"],
        "max_position_embeddings": 256,
        "local_attn_chunk_length": 16,
    },
    "minimax": {
        **EIGHT,
        "layer_types": ["linear_attention", "full_attention"],
        "block_size": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "xlstm": {**IDS, "hidden_size": 256, "num_hidden_layers": 2, "num_heads": 2, "chunk_size": 16},
    "xlnet": {**IDS, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
    "rwkv": {**IDS, "hidden_size": 32, "attention_hidden_size": 32, "num_hidden_layers": 2, "context_length": 256},
}
"""Rows through plain `generate`, those of RWKV one at a time."""

ALL = {**BATCHED, **BY_GENERATE}
OF_NAME = {"bart decoder": "bart", "bert encoder": "bert"}
ENCODER_DECODERS = {"t5", "t5gemma", "mbart", "marian", "pegasus", "bart"}
WITH_VISION = {"llava", "qwen2_vl"}


def random_model(name: str) -> Any:
    """A model of one architecture, its weights larger than usual, so that its distributions have a shape.

    Args:
        name: A key of `ALL`.
    """
    torch.manual_seed(0)
    config = CONFIG_MAPPING[OF_NAME.get(name, name)](**ALL[name])
    kind = AutoModelForCausalLM
    if name in ENCODER_DECODERS:
        kind = AutoModelForSeq2SeqLM
    elif name in WITH_VISION:
        kind = AutoModelForImageTextToText
    model = kind.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3.0)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model
