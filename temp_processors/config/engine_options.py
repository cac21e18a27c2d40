"""Which engine draws the samples of an experiment, and how it is set up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from temp_processors.config.sections import ModelSpec

Engine = Literal["transformers", "vllm"]
SERVER_ONLY = ("concurrency", "retries", "timeout")
VLLM_KNOWS = ("revision", "trust_remote_code")


class EngineOptions(BaseModel):
    """How vLLM is set up; None leaves a choice to vLLM.

    Args:
        tensor_parallel_size: Devices that every layer is split over.
        pipeline_parallel_size: Groups of devices that the layers are dealt out to.
        dtype: Of the weights, such as `float32` or `bfloat16`; `auto` follows the checkpoint.
        gpu_memory_utilization: Share of the device's memory for weights and cache, in (0, 1].
        max_model_len: Longest prompt and continuation together, in tokens.
        max_num_seqs: Most requests in one batch.
        enforce_eager: No CUDA graphs and no compilation: a quicker start, a slower step.
        concurrency: Requests under way at once at a server (`base_url`).
        retries: How often a request is sent again when the server is busy or unreachable.
        timeout: Seconds that one request to a server may take.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    tensor_parallel_size: Annotated[int, Field(ge=1)] = 1
    pipeline_parallel_size: Annotated[int, Field(ge=1)] = 1
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    max_num_seqs: Annotated[int, Field(ge=1)] | None = None
    enforce_eager: bool = False
    concurrency: Annotated[int, Field(ge=1)] = 32
    retries: Annotated[int, Field(ge=0)] = 6
    timeout: Annotated[float, Field(gt=0)] = 600.0


def check_engine(engine: Engine, options: EngineOptions, base_url: str | None) -> None:
    """Refuse settings that the chosen engine would silently ignore."""
    given = options.model_fields_set & {n for n in EngineOptions.model_fields if getattr(options, n) != _default(n)}
    if engine == "transformers" and (given or base_url is not None):
        name = "base_url" if base_url is not None else f"engine_options.{min(given)}"
        raise ValueError(f"`{name}` is for `engine: vllm`, but engine is 'transformers'")
    for name in sorted(given):
        if base_url is None and name in SERVER_ONLY:
            raise ValueError(f"`engine_options.{name}` is for a running server: give its `base_url`")
        if base_url is not None and name not in SERVER_ONLY:
            raise ValueError(
                f"`engine_options.{name}` cannot change a running server (`base_url`): set it where it starts"
            )


def check_model(engine: Engine, given: ModelSpec, base_url: str | None) -> None:
    """Refuse options of loading that only `from_pretrained` has: vLLM would leave them out without a word."""
    if engine == "transformers":
        return
    for name in sorted(set(ModelSpec.model_fields) - {"name", *VLLM_KNOWS}):
        value = getattr(given, name)
        if value != ModelSpec.model_fields[name].default:
            there = name in EngineOptions.model_fields and base_url is None
            elsewhere = f": set `engine_options.{name}`" if there else ""
            allowed = ", ".join(["name", *VLLM_KNOWS])
            raise ValueError(
                f"`model.{name}` is for `engine: transformers`, but is {value!r}{elsewhere}; allowed with vllm: {allowed}"
            )


def _default(name: str) -> object:
    return EngineOptions.model_fields[name].default
