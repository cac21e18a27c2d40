"""The reader of GGUF files that stands in for gguf's own: it finds what that one finds, once for a whole load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGUFEndian, GGUFReader, GGUFWriter

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


def test_what_was_there_is_put_back_after_a_failure() -> None:
    own = gguf.GGUFReader, gguf.get_tensor_name_map
    with pytest.raises(KeyError), read_once():
        raise KeyError
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == own
