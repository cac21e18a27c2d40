"""A real, small run folder for the tests of the report: texts and traces of a real model, written file by file.

The shipped model is used, or the outside checkpoint where it is beside the checkout.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors.trace.tail import tail_values, thinned
from tests.paths import ROOT, SHARED

OUTSIDE = SHARED / "models" / "stories260k"
SHIPPED = ROOT / "temp_processors" / "fox"
PROMPTS = ("The quick brown fox", "Once upon a time")
TOP = 10


def temperature_at(policy: dict[str, Any], step: int) -> float:
    """Of the two kinds of policy that these runs have."""
    if policy["kind"] == "fixed":
        return float(policy["temperature"])
    return float(policy["start"] + (policy["end"] - policy["start"]) * min(step / policy["steps"], 1))


POLICIES: tuple[dict[str, Any], ...] = (
    {"name": "T=0.1", "kind": "fixed", "temperature": 0.1},
    {"name": "T=0.5", "kind": "fixed", "temperature": 0.5},
    {"name": "T=1.0", "kind": "fixed", "temperature": 1.0},
    {"name": "cooling", "kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 24},
)


def make_run(folder: Path, samples: int = 4, steps: int = 16, name: str = "small") -> Path:
    """Write a complete run folder with traces."""
    folder.mkdir(parents=True, exist_ok=True)
    place = SHIPPED if (SHIPPED / "model.safetensors").is_file() else OUTSIDE
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    rows, traces = [], []
    torch.manual_seed(0)
    for prompt_id, prompt in enumerate(PROMPTS):
        for policy in POLICIES:
            drawn = _draw(model, tokenizer(prompt)["input_ids"], policy, samples, steps)
            for sample_id, trace in enumerate(drawn):
                identity = {"policy": policy["name"], "prompt_id": prompt_id, "sample_id": sample_id}
                ids = [row["token_id"] for row in trace]
                log_prob = math.fsum(row["log_prob"] for row in trace)
                rest = {"finish_reason": "length", "log_prob": log_prob, "seed": sample_id, "prompt": prompt}
                text = tokenizer.decode(ids, skip_special_tokens=True)
                rows.append({**identity, "text": text, "token_ids": ids, **rest})
                traces += [{**identity, "step": step, **row} for step, row in enumerate(trace)]
    config = {"name": name, "model": str(place), "prompts": list(PROMPTS), "policies": list(POLICIES)}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({"torch": torch.__version__}), encoding="utf-8")
    stack = {p["name"]: [p["kind"], "SeededSampling"] for p in POLICIES}
    (folder / "stack.json").write_text(json.dumps({"policies": stack, "lines": ["sampler stack:"]}), encoding="utf-8")
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps({"policies": _metrics(rows)}), encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(traces), folder / "traces.parquet")
    (folder / "DONE").touch()
    return folder


def _draw(
    model: Any, prompt: list[int], policy: dict[str, Any], samples: int, steps: int
) -> list[list[dict[str, Any]]]:
    ids = torch.tensor([prompt] * samples)
    traces: list[list[Any]] = [[] for _ in range(samples)]
    for step in range(steps):
        with torch.inference_mode():
            logits = model(ids).logits[:, -1].float()
        temperature = temperature_at(policy, step)
        drawn = torch.multinomial((logits / temperature).softmax(-1), 1)
        log_p, top = logits.log_softmax(-1), logits.topk(TOP)
        log_p_after = (logits / temperature).log_softmax(-1)
        entropy, entropy_after = (torch.special.entr(p.exp()).sum(-1) for p in (log_p, log_p_after))
        tail = thinned(tail_values(logits, top.indices), top.values)
        for row, trace in enumerate(traces):
            trace.append(
                {
                    "token_id": drawn[row].item(),
                    "entropy": entropy[row].item(),
                    "temperature": temperature,
                    "log_prob": log_p[row, drawn[row]].item(),
                    "entropy_after": entropy_after[row].item(),
                    "log_prob_after": log_p_after[row, drawn[row]].item(),
                    "top_ids": top.indices[row].tolist(),
                    "top_logits": top.values[row].tolist(),
                    "tail": tail[row],
                }
            )
        ids = torch.cat([ids, drawn], dim=1)
    return traces


def _metrics(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["policy"], []).append(row)
    functions = {"distinct_2": _distinct, "self_bleu_4": lambda group: 1 - _distinct(group), "perplexity": _perplexity}
    return {
        name: {
            metric: {
                "value": function(group),
                "signature": f"{metric}|tok:whitespace",
                "interval": _hull(function(group), function(group[::2]), function(group[1::2])),
            }
            for metric, function in functions.items()
        }
        for name, group in groups.items()
    }


def _hull(*values: float) -> list[float]:
    return [min(values), max(values)]


def _distinct(rows: list[dict[str, Any]]) -> float:
    words = [row["text"].split() for row in rows]
    pairs = [pair for text in words for pair in pairwise(text)]
    return len(set(pairs)) / len(pairs)


def _perplexity(rows: list[dict[str, Any]]) -> float:
    return math.exp(-sum(row["log_prob"] for row in rows) / sum(len(row["token_ids"]) for row in rows))
