"""The reader of GGUF files that stands in for gguf's own: it finds what that one finds, once for a whole load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFEndian, GGUFReader, GGUFWriter
from transformers import modeling_gguf_pytorch_utils as checkpoints

from temp_processors.config.sections import ModelSpec
from temp_processors.engines.gguf_reader import QuickReader, read_once
from temp_processors.engines.reading import read_model
from tests.engines.gguf_files import write_gguf


def written(path: Path, order: GGUFEndian) -> Path:
    writer = GGUFWriter(str(path), "llama", endianess=order)
    writer.add_block_count(3)
    for name, values in {
        "texts": ["fox", "", "\U0001f98a dog"],
        "whole": [1, -2, 3],
        "real": [0.5, 1.5],
        "yes": [True, False],
        "none": [],
        "nested": [[1, 2], [3, 4]],
    }.items():
        if values:
            writer.add_array(f"tested.{name}", values)
    writer.add_tensor("token_embd.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def content(reader: GGUFReader) -> dict[str, Any]:
    fields = {
        name: (field.types, [bytes(field.parts[place]) for place in field.data])
        for name, field in reader.fields.items()
    }
    return {**fields, **{tensor.name: tensor.data.tolist() for tensor in reader.tensors}}


@pytest.mark.parametrize("order", list(GGUFEndian))
def test_it_finds_what_ggufs_own_reader_finds(order: GGUFEndian, tmp_path: Path) -> None:
    file = written(tmp_path / "tested.gguf", order)
    assert content(QuickReader(file)) == content(GGUFReader(file))


def test_a_load_reads_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, opened, own = write_gguf(tmp_path / "tiny.gguf"), [], gguf.GGUFReader
    begin = QuickReader.__init__
    monkeypatch.setattr(QuickReader, "__init__", lambda self, path: (opened.append(path), begin(self, path))[1])
    read_model(ModelSpec(name=str(file)))
    assert [Path(path) for path in opened] == [file]
    assert gguf.GGUFReader is own


@pytest.mark.parametrize("shape", [(1, 64), (37, 256), (3, 5, 512)], ids=str)
@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0", "BF16"])
def test_weights_are_those_that_gguf_unpacks(
    kind: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("temp_processors.engines.gguf_reader.UNPACKED", 1000)
    packed = gguf.quantize(np.random.default_rng(0).normal(size=shape).astype(np.float32), GGMLQuantizationType[kind])
    own = gguf.dequantize(packed, GGMLQuantizationType[kind])
    with read_once():
        quick = gguf.dequantize(packed, GGMLQuantizationType[kind])
    assert (quick.shape, quick.dtype) == (shape, np.float32)
    np.testing.assert_array_equal(quick, own)


def test_what_transformers_parsed_is_kept_and_nobodys_changes_reach_the_next(tmp_path: Path) -> None:
    file = str(write_gguf(tmp_path / "tiny.gguf"))
    own = checkpoints.load_gguf_checkpoint(file)
    with read_once():
        first = checkpoints.load_gguf_checkpoint(file, return_tensors=False)
        tokens = first["tokenizer"]["tokens"]
        assert first == own
        first["config"].clear()
        del first["tokenizer"]["tokens"]
        again = checkpoints.load_gguf_checkpoint(file)
    assert again == own
    assert again["tokenizer"]["tokens"] is tokens


def test_what_was_there_is_put_back_after_a_failure() -> None:
    def names() -> list[Any]:
        return [
            gguf.GGUFReader,
            gguf.get_tensor_name_map,
            gguf.quants._apply_over_grouped_rows,
            checkpoints.load_gguf_checkpoint,
        ]

    own = names()
    with pytest.raises(AssertionError), read_once():
        assert any(here is there for here, there in zip(names(), own, strict=True))
    assert names() == own
