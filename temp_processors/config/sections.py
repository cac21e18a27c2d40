"""The `model` section of a configuration: what is loaded, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class ModelSpec(BaseModel):
    """A model with the options of `from_pretrained`.

    Args:
        name: `fox`, a folder, or a Hub id.
        revision: Branch, tag or commit on the Hub.
        dtype: Of the weights; `auto` is the checkpoint's own.
        device_map: `auto` and the like spread the model over devices; without it, the model goes to the first
            accelerator, or under `torchrun` to the one of the process.
        attn_implementation: `eager`, `sdpa`, `flash_attention_2`...
        trust_remote_code: Run Python files of the checkpoint.
        quantization_config: Options of a transformers quantisation, `quant_method` among them.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, pattern=r"\S")] = "fox"
    revision: str | None = None
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device_map: str | dict[str, int | str] | None = None
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    quantization_config: dict[str, Any] | None = None

    @property
    def load_options(self) -> dict[str, Any]:
        """Keyword arguments of `AutoModelForCausalLM.from_pretrained` beside the name."""
        return self.model_dump(exclude={"name"}, exclude_none=True)

    @property
    def tokenizer_options(self) -> dict[str, Any]:
        """Keyword arguments of `AutoTokenizer.from_pretrained` beside the name."""
        return {name: value for name, value in self.load_options.items() if name in ("revision", "trust_remote_code")}


def _tag(value: Any) -> str:
    return "mapping" if isinstance(value, (dict, ModelSpec)) else "text"


NameOrSpec = Annotated[
    Annotated[Annotated[str, Field(pattern=r"\S")], Tag("text")] | Annotated[ModelSpec, Tag("mapping")],
    Discriminator(_tag),
]
"""In YAML a name, or a mapping with a name and options."""


def model_spec(model: str | ModelSpec) -> ModelSpec:
    """The mapping that a name stands for."""
    return ModelSpec(name=model) if isinstance(model, str) else model
