"""The formulas of policies in other samplers, for `benchmark_processors.py --peers`: llama.cpp's, and text-generation-webui's written out.

Each peer has the settings of the policy of `POLICIES` in that script whose formula it has. llama.cpp's run through llama-cpp-python where
it is installed, on an array of tokens that is filled anew from the scores, row by row on one thread; what they return is that array.
The formulas of text-generation-webui are as one writes them down in torch, every intermediate of the size of the scores.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Call = Callable[[Tensor, Tensor], Any]
ENTRY = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
LLAMA: dict[str, tuple[str, tuple[float, ...]]] = {
    "fixed": ("temp", (0.7,)),
    "dynamic": ("temp_ext", (1.0, 0.5, 1.0)),
    "top_k": ("top_k", (50,)),
    "top_p": ("top_p", (0.9, 1)),
    "min_p": ("min_p", (0.05, 1)),
    "typical_p": ("typical", (0.9, 1)),
    "top_n_sigma": ("top_n_sigma", (1.0,)),
    "xtc": ("xtc", (1.0, 0.1, 1, 0)),
    "seeded sampling": ("dist", (0,)),
}
"""Of every policy llama.cpp's sampler and its arguments; XTC always cuts, where a policy mixes both cases."""


class LlamaSampler:
    """One sampler of llama.cpp.

    Args:
        name: As in `llama_sampler_init_NAME`.
        arguments: What that takes.

    Raises:
        ImportError: llama-cpp-python is not installed.
    """

    def __init__(self, name: str, arguments: Sequence[float]) -> None:
        import llama_cpp

        self._library = llama_cpp
        self._sampler = getattr(llama_cpp, f"llama_sampler_init_{name}")(*arguments)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> list[np.ndarray[Any, Any]]:
        """The tokens of every row after the sampler, as it leaves them: some in another order, some fewer."""
        return [self._row(row) for row in scores.numpy()]

    def _row(self, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        table = np.empty(len(logits), dtype=ENTRY)
        table["id"], table["logit"], table["p"] = np.arange(len(logits)), logits, 0.0
        data = table.ctypes.data_as(self._library.llama_token_data_p)
        array = self._library.llama_token_data_array(data=data, size=len(table), selected=-1, sorted=False)
        self._library.llama_sampler_apply(self._sampler, ctypes.byref(array))
        first = (ctypes.addressof(array.data.contents) - table.ctypes.data) // ENTRY.itemsize  # XTC moves the beginning
        return table[first : first + array.size]

    def __del__(self) -> None:
        if hasattr(self, "_sampler"):
            self._library.llama_sampler_free(self._sampler)


def scores_of(tokens: np.ndarray[Any, Any], vocabulary: int) -> Tensor:
    """Scores of one row from the tokens that a sampler left: -inf for those that it dropped."""
    scores = torch.full((vocabulary,), -torch.inf)
    scores[torch.from_numpy(tokens["id"].astype(np.int64))] = torch.from_numpy(tokens["logit"].copy())
    return scores


def dynamic(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Dynamic temperature from 0.5 to 1.5 by the entropy's share of its largest value."""
    probs = torch.softmax(scores, dim=-1)
    entropy = -(probs * torch.log(probs)).nan_to_num(0.0).sum(dim=-1, keepdim=True)
    largest = torch.log((scores > -torch.inf).sum(dim=-1, keepdim=True))
    share = (entropy / largest).nan_to_num(0.0)
    return scores / (0.5 + (1.5 - 0.5) * share**1.0)


def quadratic(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Quadratic smoothing with factor 0.3 and curve 1."""
    factor, curve = 0.3, 1.0
    top = scores.max(dim=-1, keepdim=True).values
    gap = scores - top
    bent = top - factor * (3 - curve) / 2 * gap**2 + factor * (curve - 1) / 2 * gap**3
    return torch.where(scores > -torch.inf, bent, scores)


def xtc(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Exclude top choices from a probability of 0.1 on, always."""
    ordered, order = torch.softmax(scores, dim=-1).sort(dim=-1, descending=True)
    dropped = torch.zeros_like(ordered, dtype=torch.bool)
    dropped[..., :-1] = ordered[..., 1:] >= 0.1
    return scores.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), -torch.inf)


def top_n_sigma(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Entries within one standard deviation of the maximum; that of a sample, which divides by one less than a policy does."""
    least = scores.max(dim=-1, keepdim=True).values - scores.std(dim=-1, keepdim=True)
    return scores.masked_fill(scores < least, -torch.inf)


WEBUI = {"dynamic": dynamic, "quadratic": quadratic, "xtc": xtc, "top_n_sigma": top_n_sigma}
"""Of every policy the formula of text-generation-webui."""


def peers(names: Sequence[str]) -> dict[str, dict[str, Call]]:
    """Of every name its peers, each by its own name; a line says so where llama-cpp-python is not installed."""
    found: dict[str, dict[str, Call]] = {
        name: {f"webui {name}": WEBUI[name]} if name in WEBUI else {} for name in names
    }
    try:
        for name in (name for name in names if name in LLAMA):
            sampler, arguments = LLAMA[name]
            found[name][f"llama.cpp {sampler}"] = LlamaSampler(sampler, arguments)
    except ImportError:
        print("llama-cpp-python is not installed: its samplers are left out")
    return found
