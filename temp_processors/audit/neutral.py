"""The fields of `GenerationConfig` that change scores: the value that switches each off, its processor, and its effect.

One table for everybody who asks: `audit` (which field made this processor?), `plain_sampling_kwargs` (all off), the
engines (all off but what the experiment sets) and the refusal of sampling values that a checkpoint brings along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Effect = Literal["temperature", "truncation", "penalty", "constraint", "guidance", "watermark", "clean-up"]


class SamplingField(NamedTuple):
    """One field of `GenerationConfig`.

    Args:
        name: Of the field, and of the keyword of `generate`.
        off: Values with which the scores stay as they are; the first one is what to pass to `generate`.
        processors: Class names of the processors that it adds.
        effect: "temperature" divides all scores; "truncation" rules out improbable tokens; "penalty" moves the scores of
            some tokens; "constraint" forbids or forces tokens; "guidance" mixes in another distribution; "watermark"
            hides a signal in the draws; "clean-up" leaves every valid distribution as it is.
    """

    name: str
    off: tuple[Any, ...]
    processors: tuple[str, ...]
    effect: Effect

    @property
    def only_sampling(self) -> bool:
        """Whether `generate` leaves the processor out unless `do_sample=True`."""
        return self.effect in ("temperature", "truncation")

    @property
    def off_number(self) -> float:
        """The off value as a number, for engines in which None means "as the checkpoint says"."""
        numbers = [value for value in self.off if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if not numbers:
            raise ValueError(f"`{self.name}` is switched off by {self.off[0]!r}, which is not a number")
        return numbers[0]


_TABLE = (
    SamplingField("temperature", (1.0, None), ("TemperatureLogitsWarper",), "temperature"),
    SamplingField("top_h", (None,), ("TopHLogitsWarper",), "truncation"),
    SamplingField("top_k", (0, None), ("TopKLogitsWarper",), "truncation"),
    SamplingField("top_p", (1.0, None), ("TopPLogitsWarper",), "truncation"),
    SamplingField("min_p", (None, 0.0), ("MinPLogitsWarper",), "truncation"),
    SamplingField("typical_p", (1.0, None), ("TypicalLogitsWarper",), "truncation"),
    SamplingField("epsilon_cutoff", (0.0, None), ("EpsilonLogitsWarper",), "truncation"),
    SamplingField("eta_cutoff", (0.0, None), ("EtaLogitsWarper",), "truncation"),
    SamplingField("repetition_penalty", (1.0, None), ("RepetitionPenaltyLogitsProcessor",), "penalty"),
    SamplingField("encoder_repetition_penalty", (1.0, None), ("EncoderRepetitionPenaltyLogitsProcessor",), "penalty"),
    SamplingField("exponential_decay_length_penalty", (None,), ("ExponentialDecayLengthPenalty",), "penalty"),
    SamplingField("sequence_bias", (None,), ("SequenceBiasLogitsProcessor",), "penalty"),
    SamplingField("no_repeat_ngram_size", (0, None), ("NoRepeatNGramLogitsProcessor",), "constraint"),
    SamplingField("encoder_no_repeat_ngram_size", (0, None), ("EncoderNoRepeatNGramLogitsProcessor",), "constraint"),
    SamplingField("bad_words_ids", (None,), ("NoBadWordsLogitsProcessor",), "constraint"),
    SamplingField("min_length", (0, None), ("MinLengthLogitsProcessor",), "constraint"),
    SamplingField("min_new_tokens", (None, 0), ("MinNewTokensLengthLogitsProcessor",), "constraint"),
    SamplingField("forced_bos_token_id", (None,), ("ForcedBOSTokenLogitsProcessor",), "constraint"),
    SamplingField("forced_eos_token_id", (None,), ("ForcedEOSTokenLogitsProcessor",), "constraint"),
    SamplingField("suppress_tokens", (None, []), ("SuppressTokensLogitsProcessor",), "constraint"),
    SamplingField("begin_suppress_tokens", (None, []), ("SuppressTokensAtBeginLogitsProcessor",), "constraint"),
    SamplingField("guidance_scale", (None, 1), ("UnbatchedClassifierFreeGuidanceLogitsProcessor",), "guidance"),
    SamplingField(
        "watermarking_config", (None,), ("WatermarkLogitsProcessor", "SynthIDTextWatermarkLogitsProcessor"), "watermark"
    ),
    SamplingField("renormalize_logits", (False, None), ("LogitNormalization",), "clean-up"),
    SamplingField("remove_invalid_values", (False, None), ("InfNanRemoveLogitsProcessor",), "clean-up"),
)

SAMPLING_FIELDS: Mapping[str, SamplingField] = {field.name: field for field in _TABLE}
FIELD_OF_PROCESSOR: Mapping[str, SamplingField] = {name: field for field in _TABLE for name in field.processors}


def off_values() -> dict[str, Any]:
    """For every field, the value that switches it off: `generate(**off_values())` adds no processor."""
    return {field.name: field.off[0] for field in _TABLE}


def values_on(source: Any) -> dict[str, Any]:
    """The fields that a `GenerationConfig` (or a mapping of `generate`'s keywords) sets to something that acts.

    Example:
        >>> values_on({"temperature": 0.6, "top_k": 0, "max_new_tokens": 3})
        {'temperature': 0.6}
    """
    values = source if isinstance(source, Mapping) else vars(source)
    given = {name: values.get(name) for name in SAMPLING_FIELDS}
    return {
        name: value for name, value in given.items() if value is not None and value not in SAMPLING_FIELDS[name].off
    }
