"""Draw with transformers in this process: `engine: transformers`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from temp_processors.audit.audit import audit
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import ModelSpec, model_spec
from temp_processors.engines.decoding.batches import WHOLE, plan_batches
from temp_processors.engines.decoding.continuous import draw_continuously
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.lean import lean_view
from temp_processors.engines.decoding.number_type import advise_type
from temp_processors.engines.decoding.power.decode import decode_power
from temp_processors.engines.decoding.prefill import draw_kwargs
from temp_processors.engines.decoding.seeded import for_texts
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, InTurn, ModelError, PolicyFactory, ends_of
from temp_processors.engines.model_errors import MODEL_CODE_FAILURES, first_line, raised_by
from temp_processors.engines.reading import read_model
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.kinds import build_policy
from temp_processors.policies.power import PowerPolicy
from temp_processors.sampling import SeededSampling
from temp_processors.trace.recompute import trace_tokens
from temp_processors.trace.table import TokenTrace


@dataclass(frozen=True)
class LocalEngine(InTurn):
    """A language model of transformers in evaluation mode, causal or encoder-decoder, with its tokenizer."""

    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, config: ExperimentConfig) -> LocalEngine:
        """Load `config.model` onto the first accelerator there is; under `torchrun` onto the one of this process.

        Raises:
            ModelError: As `read_model`.
        """
        return cls.of(model_spec(config.model))

    @classmethod
    def of(cls, spec: ModelSpec) -> LocalEngine:
        """Load a model by itself, as `load` does."""
        model, tokenizer = read_model(spec)
        if spec.device_map is None and torch.cuda.is_available() and spec.quantization_config is None:
            model = model.to(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))))
        advise_type(model)
        return cls(model, tokenizer)

    @property
    def model_config(self) -> Any:
        """The model's own configuration."""
        return self.model.config

    @property
    def generation_config(self) -> Any:
        """The model's own generation configuration."""
        return self.model.generation_config

    @cached_property
    def lean(self) -> Any | None:
        """The model as continuous batching runs it; None where it cannot, and batches are drawn as wholes."""
        return lean_view(self.model)

    @property
    def independent_rows(self) -> bool:
        """Whether rows may be drawn beside any others, as in continuous batching; in whole batches they move each other's last bits."""
        return self.lean is not None

    @property
    def eos_token_ids(self) -> list[int]:
        """Ids that end a text."""
        return ends_of(self.generation_config, self.tokenizer)

    @property
    def pad_token_id(self) -> int:
        """The padding id, or an end-of-sequence id for tokenizers without one."""
        if self.tokenizer.pad_token_id is not None:
            return int(self.tokenizer.pad_token_id)
        return self.eos_token_ids[0] if self.eos_token_ids else 0

    def prepare(self, config: ExperimentConfig) -> list[PolicyFactory | PowerPolicy]:
        """For every policy a function from prompt length to the processor; a policy of `kind: power` as it is.

        Raises:
            ConfigError: A tag or a token id that does not go with the tokenizer.
        """
        config.check_tokenizer(self.tokenizer)

        def factory(policy: Any) -> PolicyFactory | PowerPolicy:
            if isinstance(policy, PowerPolicy):
                return policy
            return lambda prompt_length: build_policy(policy, prompt_length=prompt_length, tokenizer=self.tokenizer)

        return [factory(named.policy) for named in config.policies]

    def draw(
        self, rows: Sequence[DecodeRow], policies: Sequence[PolicyFactory | PowerPolicy], options: DrawOptions
    ) -> Iterator[Decoded]:
        """Continue every row: by continuous batching, or in whole batches; rows of `kind: power` apart from them, policy by policy.

        Raises:
            ModelError: The model's own code fails, as it does in `generate` for some that transformers has.
        """
        settings: dict[str, Any] = {
            "max_new_tokens": options.max_new_tokens,
            "eos_token_ids": self.eos_token_ids,
            "pad_token_id": self.pad_token_id,
            "coupled": options.coupled,
            "on_tokens": options.on_tokens,
            "ends": options.ends,
        }
        try:
            factories = cast("Sequence[PolicyFactory]", policies)  # no row of `decode` asks for another
            for chosen, policy in _parts(rows, policies):
                some = [rows[row] for row in chosen] if len(chosen) < len(rows) else rows
                found = (
                    self._continued(some, factories, options.batch_size, settings)
                    if policy is None
                    else decode_power(self.model, some, policy, **settings, batch_size=options.batch_size or WHOLE)
                )
                for done in found:
                    yield done._replace(row=chosen[done.row])
        except MODEL_CODE_FAILURES as error:
            if raised_by(error).startswith("temp_processors."):  # a mistake of this package is no model's fault
                raise
            name, reason = type(self.model).__name__, f"{type(error).__name__}: {first_line(error)}"
            raise ModelError(f"model: {name} cannot be run here: its own code fails ({reason})") from error

    def _continued(
        self,
        rows: Sequence[DecodeRow],
        policies: Sequence[PolicyFactory],
        batch_size: int | None,
        settings: dict[str, Any],
    ) -> Iterator[Decoded]:
        """Rows whose ended ones are replaced at once where the model allows it, else batch by batch."""
        if self.lean is not None:
            options = {name: value for name, value in settings.items() if name != "pad_token_id"}
            yield from draw_continuously(self.lean, rows, policies, batch_size=batch_size, **options)
            return
        for batch in plan_batches([len(row.prompt_ids) for row in rows], batch_size):
            for done in decode(self.model, *for_texts([rows[row] for row in batch], policies), **settings):
                yield done._replace(row=batch[done.row])

    def describe(self) -> dict[str, Any]:
        """Class, size and dtype of the model, and a digest of 64 values of every tensor."""
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

    def sampler_stack(
        self, config: ExperimentConfig, policies: Sequence[PolicyFactory | PowerPolicy]
    ) -> dict[str, Any]:
        """The audit of the call that draws, for every policy; for `kind: power`, which no call of `generate` does, its own words."""
        draws = SeededSampling([0], prompt_length=1, coupled=config.coupled)
        return {
            named.name: stack_of_power(factory)
            if isinstance(factory, PowerPolicy)
            else audit(self.model, None, [factory(1), draws], **draw_kwargs()).to_dict()
            for named, factory in zip(config.policies, policies, strict=True)
        }

    def why_not_traced(self) -> str | None:
        """The reason for an encoder-decoder model: its texts do not continue the prompt."""
        return "encoder-decoder models are not traced" if self.model_config.is_encoder_decoder else None

    def trace(self, ids: Tensor, policy: PolicyLogitsWarper, prompt_length: int, *, top_k: int) -> TokenTrace:
        """What `policy` did at every token of `ids` (texts, length), from one forward pass."""
        if (reason := self.why_not_traced()) is not None:
            raise ModelError(f"model: {reason}")
        return trace_tokens(self.model, ids.to(self.model.device), policy, prompt_length, top_k=top_k)


def _parts(
    rows: Sequence[DecodeRow], policies: Sequence[PolicyFactory | PowerPolicy]
) -> Iterator[tuple[list[int], PowerPolicy | None]]:
    """Positions of the rows that go through `decode` together, and for every policy of `kind: power` those of its own."""
    mine: dict[int | None, list[int]] = {}
    for place, row in enumerate(rows):
        mine.setdefault(row.policy if isinstance(policies[row.policy], PowerPolicy) else None, []).append(place)
    for policy, places in mine.items():
        power = None if policy is None else policies[policy]
        yield places, power if isinstance(power, PowerPolicy) else None


def stack_of_power(policy: PowerPolicy) -> dict[str, Any]:
    """What acts on the scores under `kind: power`, in the form of `Audit.to_dict`: the proposal, corrected for whole texts."""
    parameters = policy.model_dump(mode="json", exclude={"kind"}, exclude_none=True)
    entries = [
        {"name": "power", "parameters": parameters, "origin": "user"},
        {"name": "SeededSampling", "parameters": {}, "origin": "user"},
    ]
    effective = f"1 / {policy.alpha:g} of the whole text, by {policy.method}; no temperature of a token is it"
    return {"mode": "power", "stack": entries, "effective_temperature": effective, "findings": []}
