"""Train the model that ships with the package, from a seed, on this machine's CPU.

python scripts/train_fox.py --out checkpoints/fox
python scripts/train_fox.py --out checkpoints/fox --resume

Writes a plain model folder (weights, config, tokenizer, generation_config) to --out when done; while training, checkpoints that --resume
goes on from, with the same result as an uninterrupted run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from accelerate import Accelerator
from accelerate.utils import set_seed
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.optimization import get_cosine_schedule_with_warmup

from temp_processors.fox.grammar import sample_story

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
SPECIAL = {"pad_token": PAD, "bos_token": BOS, "eos_token": EOS}


def train_tokenizer(seed: int, vocab_size: int, stories: int = 20_000) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that puts <bos> before every text, trained on tales of the grammar."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = random.Random(seed)
    tokenizer.train_from_iterator((sample_story(rng).text for _ in range(stories)), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(f"{BOS} $A", special_tokens=[(BOS, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, padding_side="left", **SPECIAL)


def new_model(vocab_size: int, hidden: int, layers: int) -> LlamaForCausalLM:
    """A Llama with heads of 32 dimensions and tied embeddings."""
    heads = hidden // 32
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return model


def batches(tokenizer: PreTrainedTokenizerFast, seed: int, size: int, start: int) -> Iterator[Tensor]:
    """Batches of fresh tales, (size, longest), padded on the right. Batch number k depends on the seed and k alone."""
    step = start
    while True:
        rng = random.Random(f"train/{seed}/{step}")
        texts = [sample_story(rng).text for _ in range(size)]
        rows = [[*ids, 2] for ids in tokenizer(texts)["input_ids"]]
        longest = max(map(len, rows))
        yield torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        step += 1


def loss_of(model: Any, batch: Tensor) -> Tensor:
    """Mean cross-entropy over the tokens after <bos>, <eos> included, in nats."""
    logits = model(input_ids=batch[:, :-1]).logits  # padding stands on the right, where causal attention cannot see it
    targets = batch[:, 1:]
    kept = targets != 0
    return torch.nn.functional.cross_entropy(logits[kept], targets[kept])


def main(
    out: Annotated[Path, typer.Option(help="Folder for the model; checkpoints go to OUT/training.")],
    seed: Annotated[int, typer.Option(help="Everything follows from it.")] = 0,
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 1200,
    batch_size: Annotated[int, typer.Option(help="Tales a step.")] = 64,
    hidden: Annotated[int, typer.Option(help="Hidden size, a multiple of 32.")] = 128,
    layers: Annotated[int, typer.Option(help="Decoder layers.")] = 4,
    vocab_size: Annotated[int, typer.Option(help="Tokens of the tokenizer, special ones included.")] = 1024,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 250,
    stop_after: Annotated[int | None, typer.Option(help="Stop early at this step, as an interruption would.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train the story model and write it as a Hugging Face model folder."""
    accelerator = Accelerator(cpu=True)
    set_seed(seed)
    tokenizer = train_tokenizer(seed, vocab_size)
    tokenizer.save_pretrained(out)
    model = new_model(vocab_size, hidden, layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(optimizer, min(100, steps // 10), steps)
    model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
    state = out / "training"
    done = 0
    if resume and (state / "step").exists():
        accelerator.load_state(str(state))
        done = int((state / "step").read_text())
    train(
        accelerator,
        model,
        optimizer,
        schedule,
        batches(tokenizer, seed, batch_size, done),
        done,
        stop_after or steps,
        steps,
        state,
        save_every,
    )
    if stop_after is None:
        accelerator.unwrap_model(model).save_pretrained(out)


def train(
    accelerator: Accelerator,
    model: Any,
    optimizer: Any,
    schedule: Any,
    data: Iterator[Tensor],
    done: int,
    until: int,
    total: int,
    state: Path,
    save_every: int,
) -> None:
    """Optimizer steps `done` to `until`, with a progress bar, checkpoints and a loss line at each checkpoint."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]}"),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=total, completed=done, loss="-")
        recent = 0.0
        for step in range(done, until):
            loss = loss_of(model, next(data))
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            recent = loss.item() if step == done else 0.98 * recent + 0.02 * loss.item()
            progress.update(task, advance=1, loss=f"{recent:.4f}")
            if (step + 1) % save_every == 0 or step + 1 == until:
                accelerator.save_state(str(state))
                (state / "step").write_text(str(step + 1))
                progress.console.print(f"step {step + 1}: loss {recent:.4f} nats per token")


if __name__ == "__main__":
    typer.run(main)
