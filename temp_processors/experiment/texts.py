"""What a run makes of a text that its engine drew, the same in a run and in a race: where it stops, and its sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.continuation import StopTexts, drawn_text
from temp_processors.engines.engine import Decoded, DrawOptions, Engine, draw_options
from temp_processors.experiment.plan import Job
from temp_processors.experiment.prompts import Prompts
from temp_processors.runs.sample import Sample


def independent_rows(config: ExperimentConfig, engine: Engine) -> bool:
    """Whether each row may be drawn beside any others; texts of `kind: power` are made of many rows."""
    powers = any(named.policy.kind == "power" for named in config.policies)
    return engine.independent_rows and not powers


@dataclass(frozen=True)
class DrawnTexts:
    """The texts that an engine draws of the prompts of a configuration."""

    config: ExperimentConfig
    engine: Engine
    prompts: Prompts

    def options(self, on_tokens: Callable[[int], None]) -> DrawOptions:
        """How they are drawn; `on_tokens` hears of new tokens."""
        return draw_options(self.config, self._stops, on_tokens)

    def sample(self, job: Job, done: Decoded) -> Sample:
        """The record of a text."""
        continues = not self.engine.model_config.is_encoder_decoder
        prompt_ids = self.prompts.token_ids[job.prompt_id] if continues else ()
        return Sample(
            policy=self.config.policies[job.policy].name,
            prompt_id=job.prompt_id,
            sample_id=job.sample_id,
            seed=job.seed,
            prompt=self.prompts.texts[job.prompt_id],
            text=self._stops.cut(drawn_text(self.engine.tokenizer, prompt_ids, done)),
            token_ids=done.token_ids if done.text is None else None,
            tokens=done.tokens,
            finish_reason="length" if done.finish_reason == "nan" else done.finish_reason,
            log_prob=done.log_prob,
            **({} if done.power is None else done.power._asdict()),
        )

    @cached_property
    def _stops(self) -> StopTexts:
        return StopTexts(self.engine.tokenizer, self.config.stop)
