"""Which type of numbers suits the processor: bfloat16 where it multiplies that natively, float32 elsewhere.

The model computes in the type that it was loaded in. What is said here is advice, once a model, in the log.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

import torch

from temp_processors.engines.decoding.remarks import remark

NATIVE = ("avx512_bf16", "amx_bf16")
"""Instruction sets of x86 with products of bfloat16."""
LARGE = 50_000_000
"""Parameters from which on reading and multiplying weights is most of a step, so that their type decides."""


@cache
def computes_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16, as far as torch can tell (`torch.cpu.get_capabilities`).

    Others emulate them in float32. Processors of ARM are taken to emulate, as nothing here was measured on one.
    """
    ask = getattr(torch.cpu, "get_capabilities", None)  # torch 2.10
    found: dict[str, Any] = {} if ask is None else ask()
    return any(found.get(name, False) for name in NATIVE)


def advise_type(model: Any) -> None:
    """Say once, of a large model on the CPU, that its type is emulated there; nothing where it is not, or nobody knows.

    No line says that bfloat16 would be faster: SmolLM2-135M multiplies twice as fast in it on an AMD EPYC with avx512_bf16, but its
    logits are so much rougher that continuous batching is refused (see `lean_view`), which costs more.
    """
    if model.device.type != "cpu" or model.num_parameters() < LARGE or platform.machine() not in ("x86_64", "AMD64"):
        return
    if hasattr(model.config, "quantization_config"):  # its layers compute in a type of their own
        return
    if model.dtype == torch.bfloat16 and not computes_bfloat16():
        remark(model, "type", "this CPU emulates bfloat16, which is slower: `model: {name: ..., dtype: float32}`")
