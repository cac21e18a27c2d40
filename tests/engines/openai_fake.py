"""A small server that speaks as llama.cpp's, OpenAI's and Ollama's do: its words depend on prompt, seed and temperature alone."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from typing import Any

from tests.engines.recording_server import RecordingServer, running

WORDS = ("fox", "dog", "quick", "lazy", "brown", "jumps", "over", "the", "épée", "\U0001f98a", "敏捷", "moon")


class FakeServer(RecordingServer):
    """The server; `ignores` are the names of fields that it does not look at."""

    def __init__(self) -> None:
        super().__init__("small")
        self.ignores: set[str] = set()
        self.log_probs: str | None = "before"
        self.fewer = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def words(self, body: dict[str, Any], number: int = 0) -> list[str]:
        """The words of a text: the same ones where one token is left, else those of the seed."""
        said = {**body, **body.get("options", {})}
        held = {name: value for name, value in said.items() if name not in self.ignores}
        cold = held.get("temperature", 1.0) == 0 or held.get("dynatemp_exponent", 1.0) > 50
        listed = held.get("samplers", ["top_k", "top_p", "min_p", "top_n_sigma"])
        cuts = {"top_k": 1, "top_p": 0.01, "min_p": 0.99, "top_n_sigma": 0.01}
        for name, edge in cuts.items():
            value = held.get(name)
            if name in listed and value is not None and value > 0:
                cold = cold or (value >= edge if name == "min_p" else value <= edge)
        prompt = json.dumps(said.get("prompt", said.get("messages")))
        drawn = 0 if cold else 1 + held.get("seed", 7)
        digest = hashlib.blake2b(f"{prompt}/{drawn}/{0 if cold else number}".encode(), digest_size=64).digest()
        most = said.get("max_tokens", said.get("num_predict"))
        count = most if digest[0] % 2 else min(most, 3)
        return [WORDS[byte % len(WORDS)] for byte in digest[1 : 1 + count]]

    def good(self, body: dict[str, Any], path: str) -> dict[str, Any]:
        if path.startswith("/api"):
            return self._ollama(body, path)
        most, chat = body["max_tokens"], path.endswith("/chat/completions")
        count = max(1, body.get("n", 1) - self.fewer)
        choices = []
        for number in range(count):
            words = self.words(body, number)
            text = "".join(f" {word}" for word in words)
            choice: dict[str, Any] = {"index": number, "finish_reason": "length" if len(words) == most else "stop"}
            choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            if body.get("logprobs") and self.log_probs is not None:
                choice["logprobs"] = self._log_probs(words, body, chat)
            choices.append(choice)
        tokens = sum(len(self.words(body, number)) for number in range(count))
        return {"choices": choices, "usage": {"completion_tokens": tokens}}

    def _log_probs(self, words: list[str], body: dict[str, Any], chat: bool) -> dict[str, Any]:
        top = {"fox": -0.5, "dog": -1.0 if self.log_probs == "before" else -1.5}
        if self.log_probs == "after":
            top["fox"] /= body["temperature"]
        if chat:
            alternatives = [{"token": token, "logprob": value} for token, value in top.items()]
            return {"content": [{"token": word, "logprob": -1.25, "top_logprobs": alternatives} for word in words]}
        return {"tokens": words, "token_logprobs": [-1.25] * len(words), "top_logprobs": [top] * len(words)}

    def _ollama(self, body: dict[str, Any], path: str) -> dict[str, Any]:
        words = self.words(body)
        text = "".join(f" {word}" for word in words)
        reason = "length" if len(words) == body["options"]["num_predict"] else "stop"
        held = {"message": {"role": "assistant", "content": text}} if path.endswith("/chat") else {"response": text}
        return {"done": True, "done_reason": reason, "eval_count": len(words), **held}


def serving() -> AbstractContextManager[FakeServer]:
    return running(FakeServer())
