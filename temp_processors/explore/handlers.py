"""What the page does when something is pressed or moved: values in, markup out, whatever the toolkit.

One object serves everybody. It holds the model and nothing about a visitor: what has to be remembered for one comes in
as an argument and goes out as the first result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from temp_processors.audit.checkpoint import CheckpointError, with_checkpoint
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import write_yaml
from temp_processors.engines.continuation import continuation_text
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.sampler_stack import checkpoint_sampling
from temp_processors.explore import markup
from temp_processors.explore.forms import FormError, column_mapping, field_keys
from temp_processors.explore.live import (
    Text,
    built_policies,
    draw_samples,
    next_scores,
    next_token,
    prompt_ids,
    stream,
)
from temp_processors.explore.screen import (
    COLUMNS,
    METRICS,
    ScreenError,
    as_python,
    check_settings,
    screen_config,
    screen_data,
)
from temp_processors.report.tokens import TokenNames

SETTINGS = ("prompt", "columns", "max_new_tokens", "seed", "samples", "system")
"""What the page asks once; the values of every column follow."""

FRAME, FRAME_PER_TOKEN = 0.03, 2e-4  # seconds that a browser needs for an empty page, and for each token on it
WAITED_FOR = 100
FAILURES = (ValueError, RuntimeError)
"""What a policy or a prompt that does not fit ends in, and what torch raises where memory does not suffice."""


class Seen(NamedTuple):
    """The prompt that was last looked at, (1, length), and the model's scores after it, (1, vocab)."""

    input_ids: Tensor
    scores: Tensor


class Handlers:
    """The page's actions on one model.

    Args:
        engine: The model; it is only read.
        model: Its name as a configuration gives it.
    """

    def __init__(self, engine: LocalEngine, model: str) -> None:
        self.engine, self.model = engine, model
        self.names = TokenNames(engine.tokenizer)
        self.ignored = checkpoint_sampling(engine)

    def read(self, values: Sequence[Any], column: str | None = None) -> tuple[dict[str, Any], ExperimentConfig]:
        """The experiment on the page, or that of one column alone.

        Args:
            values: `SETTINGS`, then for each column its kind and one value for each field.
            column: Its name; all that are shown by default.

        Raises:
            ScreenError: It is none; the message names column and field.
        """
        settings = self._settings(values)
        shown = COLUMNS[: int(settings["columns"])] if column is None else (column,)
        policies = {name: self._policy(values, name) for name in shown}
        whole = {name: int(settings[name]) for name in ("max_new_tokens", "seed", "samples")}
        data = screen_data(
            self.model, settings["prompt"], policies, **whole, system=settings["system"], neutralise=bool(self.ignored)
        )
        return data, screen_config(data)

    def _settings(self, values: Sequence[Any]) -> dict[str, Any]:
        """What the page asks once, checked.

        Raises:
            ScreenError: It is not what this page sends.
        """
        settings = dict(zip(SETTINGS, values, strict=False))
        if len(settings) == len(SETTINGS):
            check_settings(**settings)
            if len(values) >= len(SETTINGS) + int(settings["columns"]) * (1 + len(field_keys())):
                return settings
        raise ScreenError("the page has changed: load it again")

    def _policy(self, values: Sequence[Any], column: str) -> Any:
        width = 1 + len(field_keys())
        start = len(SETTINGS) + COLUMNS.index(column) * width
        try:
            return with_checkpoint(column_mapping(values[start : start + width]), self.engine.generation_config)
        except (FormError, CheckpointError) as error:
            raise ScreenError(f"{column}: {error}") from error

    def look(self, seen: Seen | None, *values: Any) -> tuple[Any, ...]:
        """Before anything is drawn: what was seen, message, YAML, Python, and the bars of every column that is right."""
        bars, problems = [], []
        try:
            shown = COLUMNS[: int(self._settings(values)["columns"])]
        except ScreenError as error:
            return seen, markup.message(str(error)), "", "", *_filled([])
        for column in shown:
            try:
                seen, bar = self._look(seen, values, column)
            except FAILURES as error:
                problems += _told(error).splitlines()
                bar = ""
            bars.append(bar)
        if problems:
            return seen, markup.message("\n".join(dict.fromkeys(problems))), "", "", *_filled(bars)
        data, config = self.read(values)
        return seen, "", write_yaml(data), as_python(data, config), *_filled(bars)

    def _look(self, seen: Seen | None, values: Sequence[Any], column: str) -> tuple[Seen, str]:
        _, config = self.read(values, column)
        ids = prompt_ids(self.engine, config)
        if seen is None or not torch.equal(seen.input_ids, ids):
            seen = Seen(ids, next_scores(self.engine, ids))
        (policy,) = built_policies(self.engine, config, ids.shape[-1])
        return seen, markup.bars(next_token(policy, *seen), self.names, self.title(values, column))

    def title(self, values: Sequence[Any], column: str) -> str:
        """The name of a column: its letter and its policy, `A: T = 0.5` or `B: generate, temperature 0.6, top_k 20`."""
        kind, *parameters = self._policy(values, column).items()
        if kind[1] == "fixed":
            return f"{column}: T = {parameters[0][1]}"
        return f"{column}: {', '.join([kind[1], *(f'{name} {value}' for name, value in parameters)])}"

    def generate(self, colouring: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """After every token, as far as a browser can follow: the texts, message, legend, and the strip of every column."""
        try:
            _, config = self.read(values)
            for texts in paced(stream(self.engine, config)):
                yield texts, "", *self.colour(texts, colouring, values[0])
        except FAILURES as error:
            yield [], markup.message(_told(error)), "", *_filled([])

    def colour(self, texts: Sequence[Text], colouring: str, prompt: str) -> tuple[str, ...]:
        """Legend and strips of texts that are there already, of this prompt."""
        if not texts:
            return "", *_filled([])
        scale = markup.scale_of(texts, colouring)
        return markup.legend(colouring, scale), *_filled([self._text(text, colouring, scale, prompt) for text in texts])

    def _text(self, text: Text, colouring: str, scale: tuple[float, float], prompt: str) -> str:
        ids = [token.token_id for token in text.tokens]
        plain = continuation_text(self.engine.tokenizer, text.prompt_ids, ids)
        return f'<p class="tp-text">{markup.prose(plain)}</p>{markup.strip(text, self.names, colouring, scale, prompt)}'

    def measure(self, *values: Any) -> Iterator[tuple[str, ...]]:
        """While samples are drawn: message, scores, and the texts of every column."""
        try:
            _, config = self.read(values)
            titles = {name: self.title(values, name) for name in COLUMNS[: int(values[SETTINGS.index("columns")])]}
            for texts in draw_samples(self.engine, config):
                table = markup.scores(texts, METRICS, config.samples_per_prompt, titles)
                yield "", table, *_filled([markup.samples(group) for group in texts.values()])
        except FAILURES as error:
            yield markup.message(_told(error)), "", *_filled([])

    def about(self) -> str:
        """A line on the model, and on sampling values of its checkpoint, which are not applied here."""
        size = f"{self.engine.model.num_parameters():,} parameters"
        values = ", ".join(f"{name}={value}" for name, value in self.ignored.items())
        note = f" Its generation_config sets {values}: ignored here, the policies act alone." if values else ""
        return f'<p class="tp-quiet">{markup.prose(self.model)}, {size}.{markup.prose(note)}</p>'


def _told(error: Exception) -> str:
    """An error for a visitor: what was typed wrong, or that the model failed."""
    if isinstance(error, ValueError):
        return str(error)
    return f"the model failed: {(str(error).strip() or type(error).__name__).splitlines()[0]}"


def paced(steps: Iterable[list[Text]]) -> Iterator[list[Text]]:
    """Steps no faster than a browser draws them: the first tokens wait for it, later steps are passed over.

    Drawn at the speed of a small model, a long text would keep the page busy, and its Stop button deaf, for long after
    the model has finished.
    """
    last = -math.inf
    for texts in steps:
        tokens = sum(len(text.tokens) for text in texts)
        early = last + FRAME + tokens * FRAME_PER_TOKEN - time.monotonic()
        if early > 0 and tokens <= WAITED_FOR:
            time.sleep(early)
        elif early > 0 and not all(text.finish for text in texts):
            continue
        yield texts
        last = time.monotonic()


def _filled(parts: Sequence[str]) -> list[str]:
    """One part for each column that the page could show."""
    return [*parts, *[""] * (len(COLUMNS) - len(parts))]
