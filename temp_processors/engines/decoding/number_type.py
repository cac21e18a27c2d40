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
    """Say once, of a large model on the CPU, what its type costs there; nothing where it is the right one or nobody knows.

    Measured on an AMD EPYC with avx512_bf16, one thread: SmolLM2-135M takes 1.6 times as long for a step of 128 rows in float32 as
    in bfloat16, and 1.7 times for its prompts. In bfloat16 its predictions are 0.002 nats (Kullback-Leibler) from those in float32.
    """
    if model.device.type != "cpu" or model.num_parameters() < LARGE or platform.machine() not in ("x86_64", "AMD64"):
        return
    if hasattr(model.config, "quantization_config"):  # its layers compute in a type of their own
        return
    if model.dtype == torch.bfloat16 and not computes_bfloat16():
        remark(model, "type", "this CPU emulates bfloat16, which is slower: `model: {name: ..., dtype: float32}`")
    if model.dtype == torch.float32 and computes_bfloat16():
        remark(
            model, "type", "this CPU computes bfloat16 natively: `model: {name: ..., dtype: bfloat16}` may be faster"
        )
