"""The experiment configuration: strict, frozen, one parser for the file and for `--set`.

Example:

    >>> from temp_processors.config import ExperimentConfig
    >>> config = ExperimentConfig.model_validate(
    ...     {"name": "two", "prompts": ["The quick brown fox"], "policies": [{"name": "cold", "kind": "fixed", "temperature": 0.1}]}
    ... )
    >>> config.model, config.samples_per_prompt, config.policies[0].name
    ('fox', 16, 'cold')
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_serializer, model_validator

from temp_processors.addresses import Address
from temp_processors.config.counts import counted
from temp_processors.config.grids import expand
from temp_processors.config.launcher import Launcher
from temp_processors.config.paths import PathText
from temp_processors.config.presets import known_presets, with_presets
from temp_processors.config.prompts import PromptSource, prompts_tag
from temp_processors.config.sections import (
    Engine,
    EngineOptions,
    NameOrSpec,
    SwitchOrOptions,
    check_engine,
    check_model,
    model_spec,
)
from temp_processors.config.yaml_lines import ConfigError, Problem, write_yaml
from temp_processors.inert import HIDDEN
from temp_processors.metrics import metric_record
from temp_processors.policies.mistakes import INLINE, suggestion
from temp_processors.policies.power import DECODINGS, ExperimentPolicy
from temp_processors.tasks.task import Task

DEFAULT_METRICS = ("distinct_1", "distinct_2", "distinct_3", "distinct_4", "self_bleu_4", "perplexity", "mean_length")

MOST_TEXTS = 10_000_000
"""Texts of one run: its plan and its scores hold some numbers for each in memory."""
LONGEST_CONTINUATION = 10_000_000


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError(f"has to hold some text, but is {text!r}")
    return text


def _known_metric(name: str) -> str:
    return metric_record(name).name


def _folder_name(name: str) -> str:
    if name in {".", ".."} or "/" in name or "\\" in name:
        raise ValueError(f"names a run folder, so it may not hold a slash or be a dot, but is {name!r}")
    if not name.isprintable():
        raise ValueError(f"names a run folder, so it may not hold control characters, but is {name!r}")
    return _not_blank(name)


def _addresses_tag(value: Any) -> str:
    return "list" if isinstance(value, list) else "text"


class NamedPolicy(BaseModel):
    """A policy under the name that tables and files show. In YAML the name stands beside `kind` and its parameters.

    Args:
        name: Of the policy in this run.
        source: Where its setting comes from, such as the page of a preset; nothing is done with it.
        policy: Its kind and parameters.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_not_blank)]
    source: Annotated[str, AfterValidator(_not_blank)] | None = None
    policy: Annotated[ExperimentPolicy, INLINE]

    @model_validator(mode="before")
    @classmethod
    def _split(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        own = {key: value for key, value in data.items() if key in ("name", "source")}
        return {**own, "policy": {key: value for key, value in data.items() if key not in own}}

    @pydantic.field_validator("policy")
    @classmethod
    def _one_for_every_row(cls, policy: ExperimentPolicy) -> ExperimentPolicy:
        if policy.per_row:
            raise ValueError("differs from row to row of a batch, and a run mixes its rows: give one policy for each")
        return policy

    @model_serializer
    def _join(self) -> dict[str, Any]:
        source = {} if self.source is None else {"source": self.source}
        return {"name": self.name, **source, **self.policy.model_dump(mode="json")}


class ExperimentConfig(BaseModel):
    """Prompts x policies x samples, and what to measure.

    Args:
        name: Name of the run, and of its folder under `runs/` when `out` is not given.
        model: `fox` (ships with the package), a folder, or a Hub id; or a mapping with that `name` and options of
            loading (`dtype`, `device_map`, `attn_implementation`, `trust_remote_code`...; see `ModelSpec`).
        prompts: Texts to continue, at least one, none twice; or a mapping that names a file or a dataset to read
            them from (see `PromptSource`).
        system_prompt: Makes every prompt a chat that begins with this text, through the model's chat template.
        samples_per_prompt: Continuations for every prompt and policy.
        max_new_tokens: Longest continuation, in tokens.
        stop: Texts that end a continuation where they first appear; they are cut off with what follows, the tokens behind them are not
            drawn. For `engine: transformers` and `engine: openai`.
        task: What the texts are worth: answer, reference and score (see `Task`); none by default.
        seed: Together with policy name, prompt number and sample number it fixes every draw.
        coupled: Policies share the random numbers of a prompt and sample number, so that differences between them have
            less noise (see `SeededSampling`). Every policy by itself draws as it would without. For `engine: transformers`, and for
            `engine: vllm` in this process on Model Runner V2, whose noise is that of seed, position and token.
        policies: What chooses the temperature; each has a `name`, a `kind` and the parameters of that kind. A list of values or
            `{from: 0.1, to: 1.5, step: 0.2}` in place of a value makes one policy of each, named by it (see `config/grids.py`).
            `{preset: NAME}` is the policy of a preset (`temp-processors list presets`), its `source` kept; the field `presets` of a
            file names one with presets of your own.
        metrics: Scores of the table, computed on the continuations without the prompt.
        tokenizer: What scores count by: `auto` (by the script of the texts: characters for Chinese, Japanese, Thai..., else words),
            `whitespace`, `characters`, `13a`, `intl`, `model` (the tokenizer of the run's own model), or another model's: `fox`, a
            folder, a Hub id. Perplexity is always per token of the model.
        baseline: Name of the policy that the others are compared with; the first one by default.
        primary: The metric that answers the question of the experiment, chosen before its texts are seen: the p-values of its
            differences are corrected for the number of policies alone, those of all others for the whole table. None by default.
        batch_size: Most rows that are generated together; `auto` finds the fastest by trying (see `engines/decoding/README.md`).
        checkpoint_sampling: `refuse` stops when the checkpoint's own generation_config holds a temperature or truncation,
            which would multiply with the policies; `neutralise` ignores those values. Where one of the policies is `kind: checkpoint`
            nothing has to be refused: the values act there, and the policies compared with it are without them.
        traces: What the policy did at every token, in `traces.parquet`: true (the first samples, ten alternatives a
            token), false (none), or a mapping with `top_k` and `samples_per_policy` (see `TraceOptions`).
        engine: `transformers`; `vllm` (in this process, or at `base_url`, with this package's processor); or `openai`: any
            OpenAI-compatible server, for policies that its own fields can say.
        engine_options: How vLLM is set up, and how a server is asked; see [`EngineOptions`].
        base_url: A running OpenAI-compatible server, such as `http://localhost:8000/v1`, for `engine: openai` and `engine: vllm`; a list
            of servers shares the work, and one that is gone leaves its texts to the others. Their key is taken from the environment
            variable `OPENAI_API_KEY` (`VLLM_API_KEY` for vllm); one inside an address is sent and never shown or written.
        launcher: `ray`, or a mapping with its settings (see `LauncherSpec`): workers of a Ray cluster draw the texts, each with the
            engine of its own; this process by default. It moves no text, and is not written into the run folder.
        out: Run folder; `runs/NAME` by default.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_folder_name)]
    model: NameOrSpec = "fox"
    prompts: Annotated[
        Annotated[list[Annotated[str, AfterValidator(_not_blank)]], Field(min_length=1), Tag("list")]
        | Annotated[PromptSource, Tag("mapping")],
        Discriminator(prompts_tag),
    ]
    system_prompt: str | None = None
    samples_per_prompt: Annotated[int, Field(ge=1)] = 16
    max_new_tokens: Annotated[int, Field(ge=1, le=LONGEST_CONTINUATION)] = 48
    stop: list[Annotated[str, Field(min_length=1)]] = []
    task: Task | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    coupled: bool = False
    policies: Annotated[list[NamedPolicy], Field(min_length=1)]
    metrics: Annotated[list[Annotated[str, AfterValidator(_known_metric)]], Field(min_length=1)] = list(DEFAULT_METRICS)
    tokenizer: Annotated[str, AfterValidator(_not_blank)] = "auto"
    baseline: str | None = None
    primary: str | None = None
    batch_size: Annotated[int, Field(ge=1, le=MOST_TEXTS)] | Literal["auto"] = "auto"
    checkpoint_sampling: Literal["refuse", "neutralise"] = "refuse"
    traces: SwitchOrOptions = True
    engine: Engine = "transformers"
    engine_options: EngineOptions = EngineOptions()
    base_url: (
        Annotated[
            Annotated[Address, Tag("text")] | Annotated[list[Address], Field(min_length=1), Tag("list")],
            Discriminator(_addresses_tag),
        ]
        | None
    ) = None
    launcher: Launcher | None = None
    out: Annotated[PathText, AfterValidator(_not_blank)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _write_out_grids(cls, data: Any) -> Any:
        policies = with_presets(data.get("policies"), known_presets) if isinstance(data, dict) else None
        return {**data, "policies": [one.data for one in expand(policies)]} if isinstance(policies, list) else data

    @model_validator(mode="after")
    def _engine(self) -> ExperimentConfig:
        check_engine(self.engine, self.engine_options, self.base_url)
        check_model(self.engine, model_spec(self.model), self.base_url)
        if self.stop and self.engine == "vllm":
            raise ValueError("`stop` is for `engine: transformers` and `engine: openai`, but engine is 'vllm'")
        if self.tokenizer == "model" and self.engine == "openai":
            raise ValueError("`tokenizer` cannot be 'model' with `engine: openai`: its tokens are inside the server")
        if self.coupled and (self.engine not in ("transformers", "vllm") or self.base_url is not None):
            where = "" if self.base_url is None else " at a server"
            raise ValueError(
                "`coupled` is for `engine: transformers`, or `engine: vllm` in this process, but engine is "
                f"{self.engine!r}{where}, which draws by itself"
            )
        if self.launcher is not None and self.base_url is not None:
            raise ValueError(
                "`launcher` is for engines in its own processes, and the one at `base_url` runs already: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _whole_texts_are_drawn_here(self) -> ExperimentConfig:
        for named in self.policies:
            if named.policy.kind in DECODINGS and self.engine != "transformers":
                raise ValueError(
                    f"`kind: {named.policy.kind}` is for `engine: transformers`, but engine is {self.engine!r}: "
                    f"policy {named.name!r}"
                )
            if named.policy.needs_model and self.engine == "openai":
                raise ValueError(
                    f"`kind: checkpoint` needs the files of the model, which are inside the server: policy {named.name!r}"
                )
        return self

    @pydantic.field_validator("policies")
    @classmethod
    def _one_name_each(cls, policies: list[NamedPolicy]) -> list[NamedPolicy]:
        repeated = _first_repeat([policy.name for policy in policies])
        if repeated:
            raise ValueError(f"policies {repeated[0]} and {repeated[1]} are both named {policies[repeated[1]].name!r}")
        alike = _first_repeat([_as_seen(policy.name) for policy in policies])
        if alike:
            names = ", ".join(ascii(policies[place].name) for place in alike)
            raise ValueError(f"policies {alike[0]} and {alike[1]} have names that look the same: {names}")
        return policies

    @pydantic.field_validator("base_url")
    @classmethod
    def _no_server_twice(cls, given: Address | list[Address] | None) -> Address | list[Address] | None:
        if isinstance(given, list) and (repeated := _first_repeat([address.full for address in given])):
            raise ValueError(f"names {given[repeated[1]]} twice")
        return given

    @pydantic.field_validator("metrics")
    @classmethod
    def _no_metric_twice(cls, metrics: list[str]) -> list[str]:
        if repeated := _first_repeat(metrics):
            raise ValueError(f"names {metrics[repeated[1]]} twice")
        return metrics

    @pydantic.field_validator("prompts")
    @classmethod
    def _no_prompt_twice(cls, prompts: list[str] | PromptSource) -> list[str] | PromptSource:
        if isinstance(prompts, PromptSource):
            return prompts
        repeated = _first_repeat(prompts)
        if repeated:
            raise ValueError(f"prompts {repeated[0]} and {repeated[1]} are the same: raise samples_per_prompt instead")
        return prompts

    @model_validator(mode="after")
    def _not_too_many_texts(self) -> ExperimentConfig:
        self.refuse_too_many(len(self.prompts) if isinstance(self.prompts, list) else 1)
        return self

    def refuse_too_many(self, prompts: int) -> None:
        """Raise ValueError where a run over this many prompts would be more than `MOST_TEXTS` texts."""
        numbers = len(self.policies), prompts, self.samples_per_prompt
        texts = math.prod(numbers)
        if texts > MOST_TEXTS:
            product = " x ".join(map(counted, numbers, ("policy", "prompt", "sample")))
            raise ValueError(
                f"`samples_per_prompt` is too large: {product} = {texts:,} texts, and a run holds at most {MOST_TEXTS:,}"
            )

    @model_validator(mode="after")
    def _baseline_is_a_policy(self) -> ExperimentConfig:
        names = [policy.name for policy in self.policies]
        if self.baseline is not None and self.baseline not in names:
            hint = suggestion(self.baseline, names) or f"; allowed: {', '.join(names)}"
            raise ValueError(f"`baseline` has to name a policy, but is {self.baseline!r}{hint}")
        return self

    @model_validator(mode="after")
    def _primary_is_a_metric(self) -> ExperimentConfig:
        if self.primary is not None and self.primary not in self.metrics:
            hint = suggestion(self.primary, self.metrics) or f"; listed: {', '.join(self.metrics)}"
            raise ValueError(f"`primary` has to be one of `metrics`, but is {self.primary!r}{hint}")
        return self

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        return Path(self.out) if self.out is not None else Path("runs") / self.name

    @property
    def most_rows(self) -> int | None:
        """`batch_size` where it is a number; None for `auto`."""
        return None if self.batch_size == "auto" else self.batch_size

    def check_tokenizer(self, tokenizer: Any) -> None:
        """Refuse tags and token ids of the policies that do not go with the tokenizer. Raises `ConfigError`."""
        problems = []
        for place, named in enumerate(self.policies):
            try:
                named.policy.check(tokenizer)
            except ValueError as error:
                problems.append(Problem(f"policy {named.name!r}", None, ("policies", place), str(error)))
        if problems:
            raise ConfigError(problems)

    def to_yaml(self) -> str:
        """The resolved configuration, every default written out; reading it back gives an equal object, but for its `launcher`."""
        return write_yaml(self.model_dump(mode="json", exclude={"launcher"}))


def _as_seen(name: str) -> str:
    """A name without what nobody sees: white space around it, hidden characters, how its accents are encoded."""
    return " ".join(HIDDEN.sub("", unicodedata.normalize("NFC", name)).split())


def _first_repeat(names: Sequence[str]) -> tuple[int, int] | None:
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in first:
            return first[name], position
        first[name] = position
    return None
