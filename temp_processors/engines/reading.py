"""A model of transformers with its tokenizer, read from where it is, after a look at what its options ask of this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AttentionInterface,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
)

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.decoding.lean import NAME as SLOTS
from temp_processors.engines.decoding.shared_prefix import NAME as SHARED
from temp_processors.engines.model_errors import ModelError, first_line, loading, not_one_of
from temp_processors.engines.sources import Source, find_model

SPREAD = ("auto", "balanced", "balanced_low_0", "sequential")
"""Values of `device_map` that accelerate works out itself."""


class PromptReader(NamedTuple):
    """What makes tokens of prompts and knows how many the model takes: all of a model but its weights.

    Args:
        tokenizer: The model's.
        model_config: transformers' configuration of the model.
    """

    tokenizer: Any
    model_config: Any


def read_prompts_with(spec: ModelSpec, source: Source) -> PromptReader | None:
    """The tokenizer and the configuration of a model whose files are on this machine; None for one that has to be fetched from the Hub.

    Args:
        spec: The model.
        source: Where `find_model` found it.

    Raises:
        ModelError: As `read_model`.
    """
    check_options(spec)
    here = source.local_only or all(Path(name).is_dir() for name in (source.name, source.base) if name is not None)
    if not here:
        return None
    with loading(spec), reading_once(source):
        return _prompt_reader(spec, source)


def _prompt_reader(spec: ModelSpec, source: Source) -> PromptReader:
    options = _of_adapter(source, source.options(spec.tokenizer_options))
    tokenizer = AutoTokenizer.from_pretrained(source.tokenizer or source.name, **options)
    return PromptReader(tokenizer, AutoConfig.from_pretrained(source.base or source.name, **options))


def read_model(spec: ModelSpec) -> tuple[Any, Any]:
    """The model in evaluation mode, where `from_pretrained` puts it, and its tokenizer.

    Raises:
        ModelError: There is no such model, an option that this machine does not have, a package that is not installed, a
            file that cannot be read.
    """
    check_options(spec)
    source = find_model(spec)
    with loading(spec), reading_once(source):
        tokenizer, config = _prompt_reader(spec, source)
        model = kind_of(config).from_pretrained(source.name, **source.options(spec.load_options)).eval()
    return model, tokenizer


def read_generation_config(spec: ModelSpec) -> GenerationConfig:
    """The generation_config that the model will have, without reading its weights.

    Raises:
        ModelError: There is no such model.
    """
    source = find_model(spec)
    options = _of_adapter(source, source.options(spec.tokenizer_options))
    with loading(spec), reading_once(source):
        config = AutoConfig.from_pretrained(source.base or source.name, **options)
        here = {name: value for name, value in options.items() if name in ("revision", "local_files_only")}
        return generation_config_in(source.base or source.name, config, **here)


def generation_config_in(name: str, model_config: Any, **options: Any) -> GenerationConfig:
    """That of a folder or Hub id; a checkpoint without one has what its `config.json` says, as in `from_pretrained`."""
    try:
        return GenerationConfig.from_pretrained(name, **options)
    except OSError:
        return GenerationConfig.from_model_config(model_config)


def reading_once(source: Source) -> AbstractContextManager[None]:
    """What lets a GGUF file be read once for configuration, tokenizer and weights; nothing for other sources.

    Raises:
        ImportError: The package `gguf` is not installed.
    """
    if source.gguf_file is None:
        return nullcontext()
    try:
        from temp_processors.engines.gguf_reader import read_once
    except ModuleNotFoundError:  # told by whoever called; transformers would say it in a line of its own too
        raise
    except ImportError:  # a gguf without what the quick reader takes of it
        return nullcontext()
    return read_once()


def _of_adapter(source: Source, options: dict[str, Any]) -> dict[str, Any]:
    """The options for the model that an adapter adapts: a revision is that of the adapter."""
    return {name: value for name, value in options.items() if source.base is None or name != "revision"}


def kind_of(config: Any) -> Any:
    """The auto class that makes a text model of a configuration: encoder-decoder, causal, or vision-language on text only.

    A configuration that none of them knows is left to `AutoModelForCausalLM`, which knows code in the checkpoint
    (`auto_map`) and says what it knows otherwise.
    """
    if config.is_encoder_decoder:
        return AutoModelForSeq2SeqLM
    causal = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    if not causal and type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    return AutoModelForCausalLM


def check_options(spec: ModelSpec) -> None:
    """Refuse what this machine or this transformers does not have, by the name of the field.

    Raises:
        ModelError: `attn_implementation` or `device_map` names nothing that is here.
    """
    wanted = spec.attn_implementation
    known = [
        "eager",
        *sorted(name for name in AttentionInterface().valid_keys() if "|" not in name and name not in (SHARED, SLOTS)),
    ]
    if wanted is not None and "/" not in wanted and wanted not in known:  # with a slash: kernels of a Hub repository
        raise not_one_of("model.attn_implementation", wanted, known)
    if isinstance(spec.device_map, str) and spec.device_map not in SPREAD:
        _check_device("model.device_map", spec.device_map)
    elif isinstance(spec.device_map, dict):
        for part, device in spec.device_map.items():
            if device != "disk":
                _check_device(f"model.device_map.{part or 'the whole model'}", device)


def _check_device(field: str, name: str | int) -> None:
    """Try the device with an empty tensor: what it raises names nothing of the configuration."""
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:
        here = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        allowed = ", ".join([*SPREAD, "cpu", *(["cuda", *here] if here else [])])
        raise ModelError(
            f"{field}: is {name!r}, which this machine does not have ({first_line(error)}); allowed here: {allowed}"
        ) from error
