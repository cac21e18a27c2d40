"""The side of llama-cpp-python in `benchmark_engines.py`, a process of its own environment: draws everything for every line that comes.

    python scripts/benchmark_engines.py --model smollm2 --llama .venv-llama/bin/python

starts it as `PYTHON draw_with_llama_cpp.py JOB`. JOB is JSON: `model` (a GGUF file), `prompts` (token ids), `samples` of each, at
most `new` tokens, `ends` (ids that end a text), `threads`, and `rows`: how many texts are drawn at once as sequences of one context,
whose places are filled again as they end; 0 is one text after the other, by `Llama.generate`. Prints `ready`, and `round TOKENS` for
each line on standard input.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import llama_cpp

BATCH = 2_048
"""Tokens of one call of `llama_decode`."""


class Alone:
    """One text after the other; the prompt of the text before is kept where the next has the same."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        threads = {"n_threads": job["threads"], "n_threads_batch": job["threads"]}
        self.model = llama_cpp.Llama(job["model"], n_ctx=_longest(job), verbose=False, **threads)

    def draw(self) -> int:
        """Draw everything; how many tokens that were."""
        return sum(self._text(ids) for ids in self.job["prompts"] for _ in range(self.job["samples"]))

    def _text(self, ids: list[int]) -> int:
        drawn = self.model.generate(ids, top_k=0, top_p=1.0, min_p=0.0, temp=1.0, repeat_penalty=1.0)
        for count, token in enumerate(drawn, start=1):
            if token in self.job["ends"] or count == self.job["new"]:
                return count
        raise AssertionError("llama.cpp ended a text by itself")


@dataclass
class Text:
    """A text that is being drawn: its tokens so far and at most, prompt included, and the last of them."""

    length: int
    longest: int
    last: int = -1

    def add(self, token: int) -> None:
        self.length, self.last = self.length + 1, token


class Together:
    """Many texts as sequences of one context: every call decodes a token of each that is live and the prompts of those that begin."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.model = llama_cpp.Llama(job["model"], n_ctx=_longest(job), verbose=False)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_seq_max = _longest(job) * job["rows"], BATCH, job["rows"]
        params.n_threads = params.n_threads_batch = job["threads"]
        self.context = llama_cpp.llama_init_from_model(self.model.model, params)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self.sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(self.sampler, llama_cpp.llama_sampler_init_temp(1.0))
        llama_cpp.llama_sampler_chain_add(self.sampler, llama_cpp.llama_sampler_init_dist(0))

    def draw(self) -> int:
        """Draw everything; how many tokens that were."""
        llama_cpp.llama_memory_clear(self.memory, True)
        queue = [ids for ids in self.job["prompts"] for _ in range(self.job["samples"])]
        free, live, tokens = list(range(self.job["rows"])), dict[int, Text](), 0
        while queue or live:
            rows = [(text.last, text.length - 1, place, True) for place, text in live.items()]
            wanted = list(enumerate(live))
            while queue and free and len(rows) + len(queue[0]) <= BATCH:
                place, ids = free.pop(), queue.pop(0)
                rows += [(token, position, place, position == len(ids) - 1) for position, token in enumerate(ids)]
                wanted.append((len(rows) - 1, place))
                live[place] = Text(len(ids), len(ids) + self.job["new"])
            self._decode(rows)
            for row, place in wanted:
                text, tokens = live[place], tokens + 1
                text.add(llama_cpp.llama_sampler_sample(self.sampler, self.context, row))
                if text.last in self.job["ends"] or text.length == text.longest:
                    del live[place]
                    free.append(place)
                    llama_cpp.llama_memory_seq_rm(self.memory, place, -1, -1)
        return tokens

    def _decode(self, rows: list[tuple[int, int, int, bool]]) -> None:
        batch = self.batch
        for place, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[place], batch.pos[place], batch.logits[place] = token, position, wanted
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
        batch.n_tokens = len(rows)
        if llama_cpp.llama_decode(self.context, batch):
            raise SystemExit("llama.cpp found no room for its batch")


def _longest(job: dict[str, Any]) -> int:
    """Tokens that the longest text may have, prompt included."""
    return int(max(map(len, job["prompts"])) + job["new"])


def main() -> None:
    """Draw once for every line that comes."""
    job = json.loads(sys.argv[1])
    side = Together(job) if job["rows"] else Alone(job)
    print("ready", flush=True)
    for _ in sys.stdin:
        print("round", side.draw(), flush=True)


if __name__ == "__main__":
    main()
