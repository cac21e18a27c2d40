"""What draws the texts of an experiment: the protocol that every engine keeps, its options and its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from temp_processors.engines.model_errors import ModelError as ModelError
from temp_processors.engines.model_errors import loading as loading
from temp_processors.engines.sources import model_path as model_path

if TYPE_CHECKING:
    from torch import Tensor

    from temp_processors.config.experiment import ExperimentConfig
    from temp_processors.engines.continuation import StopTexts
    from temp_processors.policies.base import PolicyLogitsWarper
    from temp_processors.trace.table import TokenTrace


class DrawError(ModelError):
    """Some rows could not be drawn; all others were handed over before this.

    Args:
        message: How many.
        failed: Their positions, and why.
    """

    def __init__(self, message: str, failed: Sequence[tuple[int, str]]) -> None:
        super().__init__(message)
        self.failed = failed

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.failed)


class DecodeRow(NamedTuple):
    """One continuation to draw: the prompt's token ids, the position of its policy, the seed of its draws."""

    prompt_ids: tuple[int, ...]
    policy: int
    seed: int


Rows = TypeVar("Rows", bound=Sequence[Any])


class PowerStatistics(NamedTuple):
    """What a text of `kind: power` cost and how far its draw can be trusted; what the method does not have is None.

    `computed_tokens` are the tokens of all particles, or of all proposals, for this one text. `ess` is the effective
    sample size 1 / sum w^2 of the particles' weights w at the end, `resamplings` how often they were resampled, `ancestors`
    how many of the first particles have descendants among the last. `acceptance` is the accepted share of the moves.
    """

    computed_tokens: int
    ess: float | None = None
    resamplings: int | None = None
    ancestors: int | None = None
    acceptance: float | None = None


class Decoded(NamedTuple):
    """A finished row: its position, new tokens without end-of-sequence, why it ended, summed log-probability.

    `log_prob` is a natural logarithm under the model without any temperature, end-of-sequence included where it was
    drawn. `finish_reason` is `nan` where the model or the policy gave NaN at step `len(token_ids)`: the row stopped
    there, and its `log_prob` is NaN. It is `stop_text` where `DrawOptions.ends` said so: all tokens are kept. `power` is
    there for texts of `kind: power`.

    A server that tells no token ids gives `text`; then `token_ids` is empty, `tokens` is how many the server counts, and None where it
    does not say. `log_prob` is None where it gives none before the temperature.
    """

    row: int
    token_ids: list[int]
    finish_reason: Literal["stop", "stop_text", "length", "nan"]
    log_prob: float | None
    power: PowerStatistics | None = None
    text: str | None = None
    tokens: int | None = None

    @property
    def steps(self) -> int:
        """Tokens drawn, end-of-sequence included; 0 where they are not known."""
        if self.text is not None:
            return self.tokens or 0
        return len(self.token_ids) + (self.finish_reason in ("stop", "nan"))


PolicyFactory = Callable[[int], "PolicyLogitsWarper"]
"""From the prompt's width in tokens (padding included) to the policy."""


Ends = Callable[[Sequence[int]], bool]
"""Whether a row ends with its last token, from the tokens drawn so far."""


def ignore(tokens: int) -> None:
    """The `on_tokens` of a caller that shows no progress."""


def silent(line: str) -> None:
    """The `say` of a caller that shows no remarks."""


@dataclass(frozen=True)
class DrawOptions:
    """How rows are drawn.

    Args:
        max_new_tokens: Longest continuation, in tokens.
        coupled: Draw as `SeededSampling(coupled=True)` does, on `engine: transformers`. Another engine draws by itself: rows of
            equal seeds share its noise where it has such noise, and a configuration that asks any other for it is refused.
        on_tokens: Called with the number of tokens that came in since its last call, those of a text before the text.
        ends: Whether a text ends with its last token, for texts that stop (`stop`); only `engine: transformers` asks.
        batch_size: Most rows that are computed together; None leaves it to the engine. Only `engine: transformers` asks.
    """

    max_new_tokens: int
    coupled: bool = False
    on_tokens: Callable[[int], None] = ignore
    ends: Ends | None = None
    batch_size: int | None = None


def draw_options(config: ExperimentConfig, stops: StopTexts, on_tokens: Callable[[int], None] = ignore) -> DrawOptions:
    """The options of a configuration; `stops` are its `stop` texts."""
    ends = stops.end if config.stop else None
    return DrawOptions(config.max_new_tokens, config.coupled, on_tokens, ends, config.most_rows)


class Engine(Protocol):
    """A language model and what runs it, ready to draw the rows of an experiment.

    To add one: a class that keeps this protocol in a file of this folder (on `InTurn`, if it draws in one place), its line in
    `load.ENGINES`, and its name in `config`'s choice of engines.
    """

    @classmethod
    def load(cls, config: ExperimentConfig) -> Engine:
        """Load the model of a configuration, or find the server that has it.

        Raises:
            ModelError: No such model, no such engine here, or a server that does not answer.
            ConfigError: A tag or token id of a policy does not go with the tokenizer (where loading takes long).
        """

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""

    @property
    def model_config(self) -> Any:
        """transformers' configuration of the model: its context, its vocabulary, whether it is an encoder-decoder."""

    @property
    def generation_config(self) -> Any:
        """The checkpoint's own sampling values and end-of-sequence ids."""

    @property
    def independent_rows(self) -> bool:
        """Whether rows do not depend on what is drawn with them: then one `draw` gets all rows that a run has not yet.

        Where they do (the neighbours in a batch move the last bits), `draw` gets the same whole batches in every run.
        """

    def prepare(self, config: ExperimentConfig) -> Sequence[Any]:
        """The policies of a configuration, in its order, in the form that `draw` takes.

        Raises:
            ConfigError: A tag or token id of a policy does not go with the tokenizer.
            PolicyError: A policy that this engine cannot apply.
        """

    def draw(self, rows: Sequence[DecodeRow], policies: Sequence[Any], options: DrawOptions) -> Iterator[Decoded]:
        """Continue every row, and hand rows over as they finish.

        Args:
            rows: What to draw; `DecodeRow.policy` counts `policies`.
            policies: What `prepare` returned.
            options: Length, coupling, and who hears of progress.

        Raises:
            DrawError: At the end, where some rows could not be drawn.
            ModelError: None of the rows that are left can be drawn.
        """

    def portions(self, rows: Rows) -> list[Rows]:
        """Independent rows as the batches that `draw_batches` takes, slices of `rows`: all at once, or some for every worker."""

    def draw_batches(
        self,
        batches: Sequence[Sequence[DecodeRow]],
        policies: Sequence[Any],
        options: DrawOptions,
        *,
        begin: Callable[[int], None] = ignore,
        say: Callable[[str], None] = silent,
    ) -> Iterator[Decoded]:
        """`draw` of every batch, one after the other or as workers bring them.

        Args:
            batches: What to draw; `Decoded.row` counts the rows of its batch.
            policies, options: As for `draw`.
            begin: Called with the position of a batch before its texts come, which no other batch interrupts; an error that
                follows is of that batch.
            say: Told in a line what goes wrong and is put right, as a worker that is lost.

        Raises:
            DrawError, ModelError: As `draw`.
        """

    def close(self) -> None:
        """End what was started for it; it draws nothing more."""

    def describe(self) -> dict[str, Any]:
        """What tells this model from another, as JSON values: a run is only resumed with the same."""

    def sampler_stack(self, config: ExperimentConfig, policies: Sequence[Any]) -> dict[str, Any]:
        """For every policy's name the processors that act on the scores, in the form of `Audit.to_dict`."""

    def why_not_traced(self) -> str | None:
        """Why `trace` cannot be asked; None where it can."""

    def trace(self, ids: Tensor, policy: PolicyLogitsWarper, prompt_length: int, *, top_k: int) -> TokenTrace:
        """What `policy` did at every token of finished texts, from one forward pass.

        Args:
            ids: (texts, length), prompt included, padded on the right.
            policy: Built for a prompt of `prompt_length` tokens.
            prompt_length: Tokens of the prompt.
            top_k: How many alternatives to keep of each token.

        Raises:
            ModelError: `why_not_traced`.
        """


class InTurn:
    """What the engines have in common that draw in one place: batches one after the other, and nothing to end."""

    def portions(self, rows: Rows) -> list[Rows]:
        """All of them at once."""
        return [rows] if rows else []

    def draw_batches(
        self: Engine,
        batches: Sequence[Sequence[DecodeRow]],
        policies: Sequence[Any],
        options: DrawOptions,
        *,
        begin: Callable[[int], None] = ignore,
        say: Callable[[str], None] = silent,
    ) -> Iterator[Decoded]:
        """`draw` of every batch, one after the other."""
        for number, rows in enumerate(batches):
            begin(number)
            yield from self.draw(rows, policies, options)

    def close(self) -> None:
        """Nothing was started."""


def ends_of(generation_config: Any, tokenizer: Any) -> list[int]:
    """Ids that end a text: those of the generation config, else the tokenizer's."""
    ids = generation_config.eos_token_id
    if ids is None:
        ids = tokenizer.eos_token_id
    return [] if ids is None else list(ids) if isinstance(ids, (list, tuple)) else [ids]
