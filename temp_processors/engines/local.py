"""Find and load the model and tokenizer of an experiment, with errors that say what would work."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HFValidationError
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import ModelSpec, model_spec
from temp_processors.engines.decoding.decode import Decoded, DecodeRow, PolicyFactory, decode
from temp_processors.fox import FOX_PATH


class ModelError(ValueError):
    """The model of a configuration cannot be used; the message says why and what would work."""


@dataclass(frozen=True)
class LoadedModel:
    """A language model in evaluation mode, causal or encoder-decoder, with its tokenizer.

    Args:
        coupled: Draw as `SeededSampling(coupled=True)` does.
        on_step: Called with the number of rows after every step that draws one token for each.
    """

    model: Any
    tokenizer: Any
    coupled: bool = field(default=False, kw_only=True)
    on_step: Callable[[int], None] | None = field(default=None, kw_only=True)

    @property
    def eos_token_ids(self) -> list[int]:
        """Ids that end a text: those of the generation config, else the tokenizer's."""
        found = self.model.generation_config.eos_token_id
        if found is None:
            found = self.tokenizer.eos_token_id
        return [] if found is None else list(found) if isinstance(found, (list, tuple)) else [found]

    def describe(self) -> dict[str, Any]:
        """What tells one model from another: kind, size, dtype, and a digest of 64 values of every tensor."""
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            values = tensor.detach().flatten()
            some = values[:: max(1, values.numel() // 64)].double().cpu()
            digest.update(some.numpy().tobytes())
        return {
            "class": type(self.model).__name__,
            "parameters": self.model.num_parameters(),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "digest": digest.hexdigest(),
        }

    @property
    def pad_token_id(self) -> int:
        """The padding id, or an end-of-sequence id for tokenizers without one."""
        if self.tokenizer.pad_token_id is not None:
            return int(self.tokenizer.pad_token_id)
        return self.eos_token_ids[0] if self.eos_token_ids else 0

    def decode(
        self, rows: Sequence[DecodeRow], policies: Sequence[PolicyFactory], *, max_new_tokens: int
    ) -> Iterator[Decoded]:
        """Continue every row; rows are handed over as they finish."""
        return decode(
            self.model,
            rows,
            policies,
            max_new_tokens=max_new_tokens,
            eos_token_ids=self.eos_token_ids,
            pad_token_id=self.pad_token_id,
            coupled=self.coupled,
            on_step=self.on_step,
        )


def model_path(name: str) -> str:
    """The folder of the model that ships for `fox`; any other name as it is."""
    return str(FOX_PATH) if name == "fox" else name


@contextmanager
def loading(spec: ModelSpec) -> Iterator[None]:
    """What goes wrong while a checkpoint is read, as a `ModelError` that says what would do."""
    try:
        yield
    except (OSError, ValueError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        where = (
            "a folder without a usable model"
            if Path(spec.name).is_dir()
            else "neither a folder nor a model that can be fetched"
        )
        raise ModelError(
            f"model: {spec.name!r} is {where} ({reason}); `fox` ships with the package and works offline, "
            "as does a folder that save_pretrained() wrote"
        ) from error


def load_model(config: ExperimentConfig) -> LoadedModel:
    """Load `config.model` (`fox`, a folder, or a Hub id) into the engine of the configuration.

    Raises:
        ModelError: No such model, no such engine here, or a server that does not answer.
    """
    if config.engine == "vllm":
        return _load_elsewhere(config)
    spec = model_spec(config.model)
    name = model_path(spec.name)
    with loading(spec):
        tokenizer = AutoTokenizer.from_pretrained(name, **spec.tokenizer_options)
        encoder_decoder = AutoConfig.from_pretrained(name, **spec.tokenizer_options).is_encoder_decoder
        kind = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
        model = kind.from_pretrained(name, **spec.load_options).eval()
    if spec.device_map is None and torch.cuda.is_available() and spec.quantization_config is None:
        model = model.to(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))))
    return LoadedModel(model, tokenizer, coupled=config.coupled)


def _load_elsewhere(config: ExperimentConfig) -> LoadedModel:
    if config.base_url is not None:
        from temp_processors.engines.vllm_server import ServerModel

        return ServerModel.load(config)
    from temp_processors.engines.vllm_local import VllmModel

    return VllmModel.load(config)
