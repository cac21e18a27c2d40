"""A run folder read for display: whatever is missing or damaged is left out and named in a note.

A run that is half done, of another version or damaged is shown as far as it goes, so every reader here returns what it
found and adds a sentence for what it did not find.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from temp_processors.config.yaml_lines import ConfigError, parse_yaml
from temp_processors.datafiles import expanded_path
from temp_processors.runs.checksums import differing, unsealed
from temp_processors.runs.folder import SIGNED
from temp_processors.runs.sample import is_readable, needs_checks
from temp_processors.runs.scores import readable_scores
from temp_processors.runs.temperatures import fixed_temperatures, policies_of
from temp_processors.trace.columns import COLUMN_TYPES, LATER, NUMBERS, trace_schema

SampleKey = tuple[str, int, int]
MOST_TRACE_ROWS = 60_000


@dataclass(frozen=True)
class Trace:
    """What happened at every new token of one sample: lists of one entry a step, step 0 first.

    Args:
        token_ids: The tokens drawn.
        entropy: Of the model's distribution, in nats, before the policy.
        temperature: What the policy divided by; None where it sets no single temperature.
        log_prob: Natural log-probability of the token under the untempered model.
        top_ids: Largest logits first: their token ids, for every step.
        top_logits: Their untempered logits.
        tail: What is known of the logits that were not recorded, see `trace/tail.py`.
        columns: Further numeric columns by name (`entropy_after`, `log_prob_after`).
    """

    token_ids: list[int]
    entropy: list[float | None]
    temperature: list[float | None]
    log_prob: list[float | None]
    top_ids: list[list[int]]
    top_logits: list[list[float]]
    tail: list[Any]
    columns: dict[str, list[float | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def numbers(self) -> dict[str, list[float | None]]:
        """The columns with one number a token, as `trace.columns.NUMBERS` orders them; unknown ones are None throughout."""
        own = {name: getattr(self, name, None) or self.columns.get(name) for name in NUMBERS}
        return {name: values or [None] * len(self) for name, values in own.items()}


@dataclass(frozen=True)
class LoadedRun:
    """A run folder as far as it could be read.

    Args:
        name: `name` of its configuration, else the folder's name.
        path: The folder.
        config: `config.yaml` as data and as text; {} and "" when missing.
        environment: `environment.json`; {} when missing.
        stack: `stack.json`; {} when missing.
        samples: Valid lines of `samples.jsonl`, sorted by prompt, policy as configured, and sample number.
        metrics: `metrics.json`: policy -> metric -> score.
        traces: `traces.parquet` by (policy, prompt_id, sample_id).
        notes: What is missing, in sentences.
    """

    name: str
    path: Path
    config: dict[str, Any]
    config_text: str
    environment: dict[str, Any]
    stack: dict[str, Any]
    samples: list[dict[str, Any]]
    metrics: dict[str, dict[str, dict[str, Any]]]
    traces: dict[SampleKey, Trace]
    notes: tuple[str, ...]

    @property
    def policies(self) -> list[str]:
        """Names in the order of the configuration, then those that only samples or scores mention."""
        configured = [p["name"] for p in policies_of(self.config) if isinstance(p.get("name"), str)]
        return list(dict.fromkeys([*configured, *self.metrics, *(s["policy"] for s in self.samples)]))

    @property
    def temperatures(self) -> dict[str, float]:
        """The temperature of every policy that has one fixed number."""
        return fixed_temperatures(self.config)


def load_run(path: Path) -> LoadedRun:
    """Read the folder at `path`.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    path = expanded_path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such run folder")
    notes: list[str] = []
    if not (path / "DONE").exists():
        notes.append("DONE is missing: the run did not finish, so what follows may be incomplete.")
    else:
        wrong = differing(path, SIGNED)
        notes += [
            f"{name} is not as the run wrote it: its checksum differs." for name in wrong if (path / name).exists()
        ]
    config_text = _text(path / "config.yaml", notes)
    config = _yaml(config_text, notes)
    metrics = readable_scores(_json(path / "metrics.json", notes), notes)
    name = config.get("name")
    run = LoadedRun(
        name=name if isinstance(name, str) else path.resolve().name,
        path=path,
        config=config,
        config_text=config_text,
        environment=_json(path / "environment.json", notes),
        stack=_json(path / "stack.json", notes),
        samples=_samples(path / "samples.jsonl", notes),
        metrics=metrics,
        traces=_traces(path / "traces.parquet", notes),
        notes=tuple(notes),
    )
    order = {policy: i for i, policy in enumerate(run.policies)}
    run.samples.sort(key=lambda s: (s["prompt_id"], order[s["policy"]], s["sample_id"]))
    return run


def own_file(path: Path) -> Path:
    """A file of a run folder that is about to be written: a link in its place, which may lead anywhere, is taken away."""
    if path.is_symlink():
        path.unlink()
    return path


def own_folder(path: Path) -> Path:
    """A folder inside of a run folder. Raises ValueError where it is a link, which may lead anywhere."""
    if path.is_symlink():
        raise ValueError(f"{path}: is a link to elsewhere, where nothing is written: delete it")
    return path


def _text(path: Path, notes: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        notes.append(f"{path.name} is missing.")
    except (OSError, UnicodeDecodeError) as error:
        notes.append(f"{path.name} cannot be read: {error}.")
    return ""


def _json(path: Path, notes: list[str]) -> dict[str, Any]:
    text = _text(path, notes)
    try:
        data = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        notes.append(f"{path.name} is damaged: {error}.")
        return {}
    if not isinstance(data, dict):
        notes.append(f"{path.name} is damaged: it holds no mapping.")
        return {}
    return data


def _yaml(text: str, notes: list[str]) -> dict[str, Any]:
    try:
        data = parse_yaml(text, "config.yaml").data if text else {}
    except ConfigError as error:
        notes.append(f"config.yaml is damaged: {error}.")
        return {}
    return data if isinstance(data, dict) else {}


def _samples(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    samples, bad, needed = [], [], needs_checks(path.parent)
    try:
        content = path.read_bytes()
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        notes.append("samples.jsonl is missing." if gone else f"samples.jsonl cannot be read: {error.strerror}.")
        return []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            sample = _sample(line, needed)
            if sample is None:
                bad.append(number)
            else:
                samples.append(sample)
    if bad:
        lines = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        notes.append(f"samples.jsonl: {len(bad)} lines are damaged and left out (line {lines}).")
    return samples


def _sample(line: bytes, needed: bool) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(unsealed(line, needed=needed))
    except (ValueError, RecursionError):
        return None
    if not is_readable(data):
        return None
    ids = data.get("token_ids")
    if not (isinstance(ids, list) and all(isinstance(token, int) for token in ids)):
        data.pop("token_ids", None)
    return data


def _traces(path: Path, notes: list[str]) -> dict[SampleKey, Trace]:
    if not path.exists():
        notes.append("traces.parquet is missing: tokens are shown without entropy, temperature and alternatives.")
        return {}
    import pyarrow
    import pyarrow.parquet

    try:
        return _by_sample(_trace_rows(path, notes))
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        notes.append(f"traces.parquet is damaged: {error}.")
    except KeyError as error:
        notes.append(f"traces.parquet is of another version: it has no column {error}.")
    return {}


def _trace_rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The rows of the file, or of the first samples of every cell where all would not fit into memory and page."""
    import pyarrow.compute
    import pyarrow.parquet

    from temp_processors.runs.columns import table_in

    total = pyarrow.parquet.read_metadata(path).num_rows
    if total <= MOST_TRACE_ROWS:
        return trace_rows(table_in(path))
    numbers = table_in(path, ["sample_id"])["sample_id"]
    counts = sorted((row["values"], row["counts"]) for row in pyarrow.compute.value_counts(numbers).to_pylist())
    kept, limit = 0, counts[0][0] + 1
    for number, count in counts:
        kept += count
        if kept > MOST_TRACE_ROWS:
            break
        limit = number + 1
    notes.append(f"traces.parquet has {total:,} rows: the samples numbered below {limit} were read.")
    return trace_rows(pyarrow.parquet.read_table(path, filters=[("sample_id", "<", limit)]))


def trace_rows(table: Any) -> list[dict[str, Any]]:
    """The whole rows of a table of traces. Raises KeyError for a column that is missing, and pyarrow's errors for one of another kind."""
    import pyarrow

    schema = trace_schema()
    present = [name for name in schema.names if name in table.schema.names]
    if missing := set(schema.names) - set(present) - set(LATER):
        raise KeyError(min(missing))
    rows = table.select(present).cast(pyarrow.schema([schema.field(name) for name in present])).to_pylist()
    whole = ("policy", "prompt_id", "sample_id", "step", "token_id")
    return [row for row in rows if all(row[name] is not None for name in whole) and _tops_fit(row)]


def _tops_fit(row: dict[str, Any]) -> bool:
    ids, logits, tail = row["top_ids"] or [], row["top_logits"] or [], row.get("tail") or []
    return len(ids) == len(logits) and len(tail) != 1 and None not in (*ids, *logits, *tail)


def _by_sample(rows: list[dict[str, Any]]) -> dict[SampleKey, Trace]:
    groups: dict[SampleKey, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["policy"], row["prompt_id"], row["sample_id"]), []).append(row)
    return {key: _trace(sorted(group, key=lambda row: int(row["step"]))) for key, group in groups.items()}


def _trace(rows: list[dict[str, Any]]) -> Trace:
    own = [item.name for item in fields(Trace) if item.name in COLUMN_TYPES]
    more = [name for name in NUMBERS if name not in own and name in rows[0]]

    def column(name: str) -> list[Any]:
        return [row.get(name) if name in LATER else row[name] for row in rows]

    columns = {name: column(name) for name in more}
    return Trace(column("token_id"), **{name: column(name) for name in own}, columns=columns)
