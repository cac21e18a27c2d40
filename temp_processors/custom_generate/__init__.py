"""`model.generate(custom_generate=..., temperature_policy={...})`: policies as plain data, on any model.

The folder beside this file is the recipe that transformers loads; its `generate` is `generate_with_policy`. `repository.py` puts it beside
the weights of a model, whose `generate` it is from then on; `seeding.py` makes the seeds of rows from one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import GenerationConfig, GenerationMixin

from temp_processors.audit.audit import plain_sampling_kwargs
from temp_processors.audit.checkpoint import with_checkpoint
from temp_processors.audit.stack import record
from temp_processors.custom_generate.seeding import row_seeds as row_seeds
from temp_processors.policies.kinds import build_policy
from temp_processors.policies.power import DECODINGS
from temp_processors.sampling import SeededSampling


def custom_generate_path() -> str:
    """Folder for the `custom_generate` argument of `generate`, and to push to the Hub."""
    return str(Path(__file__).parent / "recipe")


def generate_with_policy(
    model: Any,
    temperature_policy: Mapping[str, Any],
    *,
    seeds: int | Sequence[int] | None = None,
    prompt_length: int | None = None,
    **kwargs: Any,
) -> Any:
    """`model.generate(**kwargs)` under a temperature policy, with every sampling setting that nobody asked for off.

    The checkpoint's temperature, top-k and penalties and the library's `top_k=50` do not act; what the call or the
    `generation_config` passed in it names does, after the policy. Your own `logits_processor` runs before it.

    Args:
        temperature_policy: `{"kind": ..., ...}` as for `build_policy`; a `tokenizer` in the call resolves tags, the model's
            generation_config `{"kind": "checkpoint"}`. `{"kind": "power", ...}` draws whole texts, see `power.generate_power`.
        seeds: One whole number per row (`num_return_sequences` multiplies rows): each row draws from its own seed,
            whatever else is in the batch. Or one number for all: `row_seeds` makes a row's own of it and the row's prompt, so
            that a text does not depend on the batch that its prompt is in. Default: torch's global generator.
        prompt_length: Tokens before the first new one; needed only with `decoder_input_ids`.
        kwargs: Everything else that `generate` takes. `do_sample` is True unless given.

    Returns:
        What `generate` returns.

    Raises:
        ValueError: for a `temperature` beside the policy (they would multiply), seeds with beams, greedy decoding
            (`do_sample=False` without beams), which no policy changes, continuous batching; and for a policy
            that `build_policy` refuses.
    """
    config: GenerationConfig | None = kwargs.get("generation_config")
    if kwargs.get("custom_generate") == custom_generate_path():  # a model that carries the recipe, told to use it
        kwargs = {name: value for name, value in kwargs.items() if name not in ("custom_generate", "trust_remote_code")}
    _refuse(config, kwargs, seeds)
    if temperature_policy.get("kind") in DECODINGS:
        from temp_processors.custom_generate.power import generate_power  # the engine, which no other kind needs

        return generate_power(model, temperature_policy, seeds=seeds, **kwargs)
    length = _prompt_length(model, kwargs) if prompt_length is None else prompt_length
    data = with_checkpoint(temperature_policy, model)
    policy = build_policy(data, prompt_length=length, tokenizer=kwargs.get("tokenizer"))
    processors = [*(kwargs.pop("logits_processor", None) or ()), policy]
    plain = {name: value for name, value in plain_sampling_kwargs().items() if getattr(config, name, None) is None}
    arguments = {**plain, **kwargs}
    if seeds is not None:
        repeats = arguments.get("num_return_sequences", getattr(config, "num_return_sequences", None)) or 1
        each = _seeds(model, kwargs, seeds, repeats)
        processors[-1] = policy.with_seeds(each)
        processors.append(SeededSampling(each, prompt_length=length))
        # The last processor draws and leaves one token. Greedy decoding takes it, but refuses several rows per prompt.
        arguments["do_sample"] = repeats > 1
    # the class's own method: a checkpoint that carries this recipe has replaced that of the object by it
    return type(model).generate(model, logits_processor=processors, **arguments)


def _refuse(config: GenerationConfig | None, call: Mapping[str, Any], seeds: int | Sequence[int] | None) -> None:
    fields = ("temperature", "num_beams", "do_sample")
    named = {name: call.get(name, getattr(config, name, None)) for name in fields}
    if named["temperature"] not in (None, 1.0):
        raise ValueError(
            f"temperature={named['temperature']} would multiply with `temperature_policy`: pass one of them"
        )
    if call.get("cache_implementation") == "paged":
        raise ValueError("continuous batching drops processors: use temp_processors.serving.with_policy")
    if named["do_sample"] is False and (named["num_beams"] or 1) == 1:
        raise ValueError("do_sample=False takes the most probable token, which no policy changes: leave it out")
    if seeds is not None and (named["num_beams"] or 1) > 1:
        raise ValueError(f"`seeds` draw one token per row, but num_beams={named['num_beams']} compares several")


def _prompt_length(model: Any, call: Mapping[str, Any]) -> int:
    """Width of the token ids that the first call of a processor sees."""
    if model.config.is_encoder_decoder:
        if call.get("decoder_input_ids") is not None:
            raise ValueError("`prompt_length` has to be given with `decoder_input_ids`: count the start token")
        if type(model).generate is GenerationMixin.generate:
            return 1
        given = {name: value for name, value in call.items() if name not in ("generation_config", "logits_processor")}
        recorded = record(model, call.get("generation_config"), [], given).prompt  # Whisper: language and task come too
        return 1 if recorded is None else recorded
    for name in ("inputs", "input_ids"):
        if call.get(name) is not None:
            return int(call[name].shape[-1])
    return 0 if call.get("inputs_embeds") is not None else 1


def _seeds(model: Any, call: Mapping[str, Any], seeds: int | Sequence[int], repeats: int) -> Sequence[int]:
    """One seed for every row of the call."""
    if not isinstance(seeds, int):
        return seeds
    names = ("inputs", "input_ids", "inputs_embeds", model.main_input_name)
    prompts = next((call[name] for name in names if call.get(name) is not None), None)
    pad = call.get("pad_token_id", model.generation_config.pad_token_id)
    return row_seeds(seeds, prompts, call.get("attention_mask"), repeats=repeats, pad_token_id=pad)
