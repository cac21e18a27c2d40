"""What the page holds: a run as JSON that a browser can read, sampled down to a size that a browser likes.

Numbers of traces travel as base64 of little-endian arrays: 4 bytes where decimal digits would take 10.
"""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from temp_processors.metrics.catalogue import described
from temp_processors.report.curves import curves
from temp_processors.report.footnotes import remarks
from temp_processors.report.pairs import pairs_of_run
from temp_processors.report.power_notes import is_number, power_notes
from temp_processors.report.task_data import answers_of, task_data
from temp_processors.report.tokens import token_pieces
from temp_processors.runs.lenient import LoadedRun, SampleKey, Trace
from temp_processors.runs.trend import trend_lines
from temp_processors.runs.verdict import answer_lines, leading_metric
from temp_processors.runs.wording import by_baseline, display_with_unit, score_words, visible
from temp_processors.trace.columns import NUMBERS

TEXT_BYTES = 6_000_000
"""What texts and settings may take of a page, which stays below 10 MB with its traces and all else."""
TRACE_BYTES = (600_000, 2_500_000)  # for a small run, and at most
TRACE_BYTES_PER_CELL = 12_000
BYTES_PER_TRACE_NUMBER = 5.4
COSTS = ("computed_tokens", "ess", "resamplings", "ancestors", "acceptance")
"""Columns of samples of `kind: power` that stand beside their texts."""


def page_data(run: LoadedRun, share: float = 1.0) -> dict[str, Any]:
    """One run for the page.

    Args:
        run: The run.
        share: Part of the page's size that this run may take, 0 to 1, when several stand side by side.

    Returns:
        What the page's script reads. `notes` is what is wrong with the run, told above every pane; `paneNotes` what belongs to one pane.
    """
    room = TEXT_BYTES * share - text_bytes(run.config_text)  # which may list any number of prompts
    samples = list(_within(_round_robin(run.samples), _sample_bytes(), room))
    cells = len({(s["policy"], s["prompt_id"]) for s in samples})
    limit = min(max(TRACE_BYTES[0], TRACE_BYTES_PER_CELL * cells), TRACE_BYTES[1]) * share
    traced = list(_within(_with_tokens(run, samples), lambda item: _trace_bytes(item[1]), limit))
    ids = {token for _, trace in traced for token in _ids(trace)}
    pieces, note = token_pieces(run, ids) if ids else ({}, "")
    place = {token: i for i, token in enumerate(pieces)}
    numbers = {key: i for i, (key, _) in enumerate(traced)}
    policies, task_notes = run.policies, list[str]()
    task = task_data(run, task_notes)
    answers = dict(answers_of(run.path)) if task else {}
    of_traces = [said for said in run.notes if said.startswith("traces.parquet ")]
    pairs, no_pairs = pairs_of_run(run)
    return {
        "name": run.name,
        "notes": [*(said for said in run.notes if said not in of_traces), *task_notes],
        "paneNotes": {
            "scores": power_notes(run.samples),
            "wall": _texts_held(run, samples),
            "strip": [*of_traces, *([note] if note else []), *_traces_held(samples, traced)],
        },
        "question": question(run),
        "answer": [*trend_lines(run.metrics, run.temperatures), *answer_lines(run.metrics)],
        "leading": leading_metric(run.metrics),
        "pairs": pairs,
        "noPairs": no_pairs,
        "task": task,
        "answers": [answers.get(_key(s)) for s in _in_order(samples, policies)] if task else [],
        "policies": policies,
        "temperatures": run.temperatures,
        "prompts": _prompts(run, samples),
        "metrics": {name: {m: score_words(score) for m, score in row.items()} for name, row in run.metrics.items()},
        "curves": curves(run),
        "baseline": next(iter(by_baseline(run.metrics)), None),
        "visible": visible(run.metrics),
        "remarks": remarks(run.metrics) if run.metrics else [],
        "metricNames": {m: display_with_unit(m, run.metrics) for row in run.metrics.values() for m in row},
        "larger": {m: described(m).larger for row in run.metrics.values() for m in row},
        "config": run.config_text,
        "environment": run.environment,
        "stack": run.stack,
        "samples": [_sample(s, policies, numbers.get(_key(s), -1), run) for s in _in_order(samples, policies)],
        "pieces": [[p.raw, p.shown] for p in pieces.values()],
        "traceColumns": [*NUMBERS],
        "traces": [packed(trace, place) for _, trace in traced],
    }


def question(run: LoadedRun) -> dict[str, Any]:
    """What a run asks: `model`, numbers of `prompts`, `policies` and `texts`; of texts of one prompt and policy the `least` and `most`."""
    model = run.config.get("model", "fox")
    name = model.get("name") if isinstance(model, dict) else model
    cells = Counter((s["policy"], s["prompt_id"]) for s in run.samples)
    return {
        "model": name if isinstance(name, str) else "",
        "prompts": len({s["prompt_id"] for s in run.samples}),
        "policies": len(run.policies),
        "texts": len(run.samples),
        "least": min(cells.values(), default=0),
        "most": max(cells.values(), default=0),
    }


def _key(sample: dict[str, Any]) -> SampleKey:
    return sample["policy"], sample["prompt_id"], sample["sample_id"]


def _round_robin(samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every cell's first sample, then every cell's second: whatever is cut off, all cells keep equally many."""
    seen: Counter[tuple[str, int]] = Counter()
    ranked = []
    for sample in samples:
        cell = (sample["policy"], sample["prompt_id"])
        ranked.append((seen[cell], sample))
        seen[cell] += 1
    return [sample for _, sample in sorted(ranked, key=lambda item: item[0])]


def _in_order(samples: Iterable[dict[str, Any]], policies: Sequence[str]) -> list[dict[str, Any]]:
    order = {name: i for i, name in enumerate(policies)}
    return sorted(samples, key=lambda s: (s["prompt_id"], order[s["policy"]], s["sample_id"]))


def _within(items: Iterable[Any], size: Any, limit: float) -> Iterator[Any]:
    """Items from the front for as long as their sizes fit into `limit`."""
    total = 0.0
    for item in items:
        total += size(item)
        if total > limit:
            return
        yield item


def _sample_bytes() -> Callable[[dict[str, Any]], int]:
    """The size of a sample on the page; a prompt counts with the first of its samples."""
    prompts = set()

    def size(sample: dict[str, Any]) -> int:
        new = sample["prompt_id"] not in prompts
        prompts.add(sample["prompt_id"])
        return 60 + text_bytes(sample["text"]) + (text_bytes(str(sample.get("prompt", ""))) if new else 0)

    return size


def text_bytes(text: str) -> int:
    """Bytes of a text in the page's JSON, in which `<` and control characters take six.

    Example:
        >>> text_bytes("fox"), text_bytes("<b>"), text_bytes("\\n")
        (5, 10, 4)
    """
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 5 * text.count("<")


def _trace_bytes(trace: Trace) -> float:
    tails = sum(len(tail) for tail in trace.tail if isinstance(tail, list))
    tops = sum(len(top) for top in trace.top_ids if top)
    return BYTES_PER_TRACE_NUMBER * (len(trace) * (len(NUMBERS) + 1) + tails + 1.5 * tops) + 60


def _with_tokens(run: LoadedRun, samples: Iterable[dict[str, Any]]) -> Iterator[tuple[SampleKey, Trace]]:
    """The trace of every sample, or a bare one of its token ids where the run has no traces at all."""
    for sample in samples:
        key = _key(sample)
        if key in run.traces:
            yield key, run.traces[key]
        elif not run.traces and isinstance(sample.get("token_ids"), list):
            yield key, bare_trace(sample["token_ids"])


def bare_trace(ids: Sequence[Any]) -> Trace:
    """A trace that knows nothing but the tokens."""
    n = len(ids)
    return Trace([int(i) for i in ids], [None] * n, [None] * n, [None] * n, [[]] * n, [[]] * n, [None] * n)


def _ids(trace: Trace) -> Iterator[int]:
    yield from trace.token_ids
    for top in trace.top_ids:
        yield from top or ()


def packed(trace: Trace, place: dict[int, int]) -> dict[str, Any]:
    """A trace as base64 arrays.

    Returns:
        n steps; `columns`: float32, n for each of `traceColumns`, NaN for unknown; `tokens`: uint32, place of each token in
        `pieces`; `k`: tops of each step; `topIds`, `topLogits`: all tops in a row; `m`: tail values of each step, 0
        where unknown, -1 where nothing is outside the tops; `tail`: all tail values in a row.
    """
    tops = [top or [] for top in trace.top_ids]
    tails = [tail if isinstance(tail, list) else [] for tail in trace.tail]
    missing = [-1 if tops[i] and tail is None else 0 for i, tail in enumerate(trace.tail)]
    return {
        "n": len(trace),
        "columns": _base64("f", (math.nan if v is None else v for column in trace.numbers.values() for v in column)),
        "tokens": _base64("I", (place[token] for token in trace.token_ids)),
        "k": [len(top) for top in tops],
        "topIds": _base64("I" if len(place) > 0xFFFF else "H", (place[token] for top in tops for token in top)),
        "topLogits": _base64("f", (x for logits in trace.top_logits for x in logits or ())),
        "m": [len(tail) or missing[i] for i, tail in enumerate(tails)],
        "tail": _base64("f", (x for tail in tails for x in tail)),
    }


def _base64(kind: str, values: Iterable[float]) -> str:
    return base64.b64encode(array(kind, values).tobytes()).decode("ascii")


def _sample(sample: dict[str, Any], policies: Sequence[str], trace: int, run: LoadedRun) -> list[Any]:
    """[policy, prompt_id, sample_id, text, finish_reason, log_prob, place of its trace or -1, tokens, mean entropy, {cost: number}]."""
    place, ids = policies.index(sample["policy"]), sample.get("token_ids")
    rest = [sample.get("finish_reason"), sample.get("log_prob"), trace, len(ids) if isinstance(ids, list) else None]
    costs = {name: value for name in COSTS if is_number(value := sample.get(name))}
    own = [sample["prompt_id"], sample["sample_id"], sample["text"]]
    return [place, *own, *rest, _mean_entropy(run.traces.get(_key(sample))), costs]


def _mean_entropy(trace: Trace | None) -> float | None:
    """Of the steps of a text, in nats, before the policy; None where it was not traced."""
    known = [value for value in trace.entropy if value is not None] if trace is not None else []
    return round(math.fsum(known) / len(known), 4) if known else None


def _prompts(run: LoadedRun, samples: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Text of every prompt by its number; only of those with samples where the page cannot hold all samples."""
    configured = run.config.get("prompts") if len(samples) == len(run.samples) else None
    texts = {i: p for i, p in enumerate(configured) if isinstance(p, str)} if isinstance(configured, list) else {}
    seen = {s["prompt_id"]: s["prompt"] for s in samples if isinstance(s.get("prompt"), str)}
    return {str(number): text for number, text in sorted({**texts, **seen}.items())}


def _texts_held(run: LoadedRun, samples: Sequence[Any]) -> list[str]:
    if len(samples) == len(run.samples):
        return []
    return [f"This page holds {len(samples):,} of {len(run.samples):,} texts, equally many of every prompt and policy."]


def _traces_held(samples: Sequence[Any], traced: Sequence[Any]) -> list[str]:
    if len(traced) == len(samples):
        return []
    return [f"The tokens of {len(traced):,} of the {len(samples):,} texts are here: the first of every cell."]
