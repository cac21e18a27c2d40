"""Mistakes in `model`: one line that names the field, the package or the file, and never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.model_errors import ModelError
from temp_processors.engines.reading import read_model
from temp_processors.fox import FOX_PATH
from tests.engines.gguf_files import write_gguf
from tests.paths import ROOT


def refused(**fields: Any) -> str:
    with pytest.raises(ModelError) as told:
        read_model(ModelSpec(**fields))
    assert "\n" not in str(told.value)
    return str(told.value)


MISSING = [
    ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes", "bitsandbytes"),
    ({"quantization_config": {"quant_method": "torchao", "quant_type": "int8_weight_only"}}, "torchao", "torchao"),
    ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "optimum", "optimum"),
    ({"quantization_config": {"quant_method": "quanto", "weights": "int8"}}, "optimum", "optimum-quanto"),
    ({"quantization_config": {"quant_method": "eetq"}}, "kernels", "kernels"),
    ({"attn_implementation": "flash_attention_2"}, "flash_attn", "flash-attn"),
    ({"attn_implementation": "flash_attention_3"}, "flash_attn_interface", "flash-attn-3"),
    ({"attn_implementation": "kernels-community/flash-attn"}, "kernels", "kernels"),
]


@pytest.mark.parametrize(("fields", "module", "named"), MISSING, ids=lambda value: str(value)[:50])
def test_a_package_that_is_missing_is_named(fields: dict[str, Any], module: str, named: str) -> None:
    if find_spec(module) is not None:
        pytest.skip(f"{module} is installed here")
    line = refused(**fields)
    field = next(iter(fields)) if "/" not in str(fields) else ""
    assert line.startswith(f"model{'.' * bool(field)}{field}: 'fox' needs a package that is not here (")
    assert named in line


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"attn_implementation": "spda"},
            r"model.attn_implementation: is 'spda', but .* sdpa \(did you mean 'sdpa'\?\)",
        ),
        ({"attn_implementation": "shared_prefix"}, r"model.attn_implementation: is 'shared_prefix', but"),
        ({"device_map": "gpu"}, r"model.device_map: is 'gpu', which .*; allowed here: auto, balanced, .*, cpu"),
        ({"device_map": {"model": "cup"}}, r"model.device_map.model: is 'cup', which .*; allowed here: auto"),
        (
            {"quantization_config": {"quant_method": "nope"}},
            r"model: 'fox' cannot be loaded with this quantization_config \(Unknown quantization type, got nope",
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": "yes"}},
            r"model: 'fox' cannot be loaded with this quantization_config \(load_in_4bit must be a boolean\)",
        ),
        (
            {"name": "./nowhere"},
            r"model: './nowhere' is neither a folder nor a model that can be fetched \(no such folder",
        ),
        ({"name": "no/such-model"}, r"model: 'no/such-model' is neither .* \(.*not in the cache\); `fox` ships"),
        ({"name": "no such model!"}, r"model: 'no such model!' is neither a folder nor a model that can be fetched"),
        ({"name": "./nowhere.gguf"}, r"model: './nowhere.gguf' is neither .* \(no such folder: nowhere.gguf\)"),
        ({"gguf_file": "a.gguf"}, r"model.gguf_file: 'a.gguf' is not in 'fox'; GGUF files there: none"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_value_that_cannot_be(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(ModelError, match=line):
        read_model(ModelSpec(**fields))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("device_map", ["cuda", "cuda:0", {"": 0}, {"": "cuda:1"}])
def test_cuda_without_cuda(device_map: Any) -> None:
    line = refused(device_map=device_map)
    assert line.startswith("model.device_map")
    assert line.endswith("allowed here: auto, balanced, balanced_low_0, sequential, cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (file, content)
        for file in ("config.json", "tokenizer.json", "model.safetensors", "tokenizer_config.json")
        for content in (b"", b"[]", b"\xff\xfe\x00", None)
    ],
    ids=lambda value: "cut" if value is None else str(value)[:30],
)
def test_a_damaged_file(file: str, content: bytes | None, tmp_path: Path) -> None:
    folder = shutil.copytree(FOX_PATH, tmp_path / "model")
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2] if content is None else content)
    line = refused(name=str(folder))
    assert line.startswith(f"model: {str(folder)!r} ")
    assert line.endswith("as does a folder that save_pretrained() wrote")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "a folder without a usable model (no config.json)" in refused(name=str(tmp_path))
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert "`gguf_file: x.gguf` reads the GGUF file in it" in refused(name=str(tmp_path))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    assert "(a file, and not a folder" in refused(name=str(tmp_path / "weights.bin"))


WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("gguf", "peft"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
from temp_processors.config.sections import ModelSpec
from temp_processors.engines.model_errors import ModelError
from temp_processors.engines.reading import read_model
for name in sys.argv[1:]:
    try:
        read_model(ModelSpec(name=name))
    except ModelError as error:
        print(error)
"""


@pytest.mark.slow
def test_without_the_packages_of_the_extras(tmp_path: Path) -> None:
    gguf, adapter = write_gguf(tmp_path / "tiny.gguf"), tmp_path / "adapter"
    adapter.mkdir()
    settings = {"base_model_name_or_path": str(FOX_PATH), "peft_type": "LORA"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(gguf), str(adapter)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    absent = "needs a package that is not here"
    assert done.stdout.splitlines() == [
        f"model: {str(gguf)!r} {absent} (gguf is not installed: pip install 'temp_processors[smollm2]')",
        f"model: {str(adapter)!r} {absent} (peft is not installed: pip install 'temp_processors[peft]')",
    ]
    assert "gguf" not in done.stderr.lower()  # transformers has a line of its own for it
