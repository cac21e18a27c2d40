"""The local task of twenty questions, and the texts that `generate` draws for them by itself, one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from temp_processors import SeededSampling, build_policy, plain_sampling_kwargs
from temp_processors.custom_generate import row_seeds
from tests.paths import ROOT

DATA = ROOT / "tests" / "integrations" / "harnesses" / "data"
DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}
LENGTH = 12


def questions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "questions.jsonl").read_text().splitlines()]


def harness_task(folder: Path) -> Path:
    """The task of lm-evaluation-harness in a folder of its own, which names its data by the whole path."""
    for name in ("questions.jsonl", "questions.py", "questions.yaml"):
        shutil.copy(DATA / name, folder / name)
    path = folder / "questions.yaml"
    path.write_text(path.read_text().replace("DATA", str(folder / "questions.jsonl")))
    return path


def text_of_generate(model: Any, tokenizer: Any, prompt: str, policy: Any, seed: int) -> str:
    """What `generate` draws behind a prompt with the processors of a policy and the seed of a row."""
    inputs = tokenizer(prompt, return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    seeds = row_seeds(seed, inputs["input_ids"])
    processors = [build_policy(policy, prompt_length=length), SeededSampling(seeds, prompt_length=length)]
    plain = {**plain_sampling_kwargs(), "do_sample": False}
    with torch.inference_mode():
        out = model.generate(**inputs, max_new_tokens=LENGTH, logits_processor=processors, **plain)
    text: str = tokenizer.decode(out[0, length:], skip_special_tokens=True)
    return text
