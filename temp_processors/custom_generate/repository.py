"""A model repository that carries its sampler: the recipe beside the weights, the policy in `generation_config.json`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, GenerationConfig

from temp_processors.audit.neutral import off_values
from temp_processors.custom_generate import custom_generate_path
from temp_processors.policies.checkpoint import CHECKPOINT
from temp_processors.policies.kinds import validated
from temp_processors.policies.power import DECODINGS

RECIPE = "custom_generate"
SETTINGS, POLICY = "generation_config.json", "temperature_policy"


def save_with_policy(folder: str | Path, policy: Mapping[str, Any]) -> None:
    """Make a policy the sampler of a saved model, for `from_pretrained(folder, trust_remote_code=True)` and what is built on it.

    Adds `custom_generate/` to the folder and writes `generation_config.json` anew: its sampling settings, which would multiply with the
    policy or cut its distribution, are taken out, `do_sample` is true, `temperature_policy` is the policy. Its other fields (end and
    padding tokens, lengths) stay. Whoever loads the folder without `trust_remote_code` has the model without the policy.

    Args:
        folder: What `save_pretrained` wrote; the Hub takes it as it is (`hf upload USER/NAME FOLDER`).
        policy: `{"kind": ..., ...}` as for `build_policy`.

    Raises:
        ValueError: no model in the folder, another recipe there, a policy that `build_policy` refuses, or `kind: checkpoint`, which is
            what the folder says without a policy.
        OSError: The folder cannot be written to.

    Example:
        >>> from transformers import AutoModelForCausalLM
        >>> from temp_processors import FOX_PATH
        >>> AutoModelForCausalLM.from_pretrained(FOX_PATH).save_pretrained(tmp_path / "cool-fox")
        >>> save_with_policy(tmp_path / "cool-fox", {"kind": "fixed", "temperature": 0.5})
        >>> sorted(path.name for path in (tmp_path / "cool-fox").iterdir())
        ['config.json', 'custom_generate', 'generation_config.json', 'model.safetensors']
    """
    place = Path(folder)
    checked = dict(policy)
    decoding = DECODINGS.get(str(checked.get("kind")))
    _ = validated(checked) if decoding is None else decoding.model_validate(checked)
    if f'"{CHECKPOINT}"' in json.dumps(checked):
        raise ValueError(f"`kind: {CHECKPOINT}` is what {place} says without a policy: name another")
    if not (place / "config.json").is_file():
        raise ValueError(f"{place}: holds no model (no config.json): save one there first, with `save_pretrained`")
    source = Path(custom_generate_path()) / RECIPE
    theirs = place / RECIPE / "generate.py"
    if theirs.is_file() and "temp_processors" not in theirs.read_text(encoding="utf-8"):
        raise ValueError(f"{theirs}: is another recipe, and a model has one: take it out first")
    _settings(place, checked).save_pretrained(place)
    shutil.copytree(source, place / RECIPE, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def _settings(folder: Path, policy: dict[str, Any]) -> GenerationConfig:
    """What the folder says about generation without its sampling, and with the policy.

    A config that transformers derived from that of the model says so by a private field, and loses what it does not know when it is
    read: it is made anew.
    """
    if (folder / SETTINGS).is_file():
        old = GenerationConfig.from_pretrained(str(folder))
    else:
        old = GenerationConfig.from_model_config(AutoConfig.from_pretrained(str(folder)))
    taken_out = {*off_values(), "num_beams", "do_sample", POLICY}
    kept = {name: value for name, value in old.to_dict().items() if name not in taken_out and not name.startswith("_")}
    return GenerationConfig(**kept, do_sample=True, **{POLICY: policy})
