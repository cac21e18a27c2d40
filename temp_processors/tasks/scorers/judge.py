"""A model as the judge, at an OpenAI-compatible server: it reads question and answer and writes a number.

Every question is asked once: what was answered is kept in a file of the run folder, under model, temperature and the text that was
sent. A server that does not answer, and a judge that writes prose instead of a number, leave a sample without a score and say so: neither
is a zero.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from temp_processors.addresses import HIDDEN, Address
from temp_processors.tasks.answers.number import Number, value_of
from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError, Tools, filled


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for an error: the key would go along to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        """Not followed."""


OPENER = urllib.request.build_opener(_NoRedirect)
BUSY = frozenset({408, 429, 500, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 16.0
TEMPLATE = """You grade an answer. Write one number and nothing else: {highest} if it is right and complete, {lowest} if it is wrong.

Question:
{prompt}

Answer:
{answer}

Grade:"""


class Judge(Scorer):
    """What a model at a server thinks of an answer.

    Args:
        base_url: `http://localhost:8000/v1`; a key inside it is sent, and never shown or written.
        model: Its name there.
        template: What it is asked: `{answer}`, `{text}`, `{reference}`, `{prompt}` and the columns of the row are filled in.
        temperature: Of the judge; 0 by default.
        lowest, highest: The grades that stand for 0 and for 1.
        max_tokens: Longest answer of the judge.
        api_key_variable: Name of the environment variable that holds the key; none is sent where it is not set.
        concurrency: Questions under way at once.
        retries: How often a question is asked again when the server is busy or unreachable.
        timeout: Seconds that one question may take.
    """

    needs_reference: ClassVar[bool] = False
    kind: Literal["judge"] = "judge"
    base_url: Address
    model: Annotated[str, Field(min_length=1)]
    template: Annotated[str, Field(pattern=r"\{(answer|text)\}")] = TEMPLATE
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    lowest: float = 0.0
    highest: float = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 16
    api_key_variable: str = "OPENAI_API_KEY"
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    retries: Annotated[int, Field(ge=0)] = 4
    timeout: Annotated[float, Field(gt=0)] = 120.0

    @model_validator(mode="after")
    def _a_scale(self) -> Judge:
        if self.lowest >= self.highest:
            raise ValueError(f"`lowest` has to be below `highest`, but they are {self.lowest:g} and {self.highest:g}")
        return self

    def notes(self) -> list[str]:
        """Who is asked."""
        return [f"{self.heading}: asks {self.model} at {self.base_url}; prompts, answers and references are sent there"]

    def prepare(self, tools: Tools) -> None:
        """See that the server is there and has the model."""
        if HIDDEN in self.base_url.full:
            raise ScorerError(f"judge: {self.base_url} was written without its key: give the address itself")
        try:
            served = [str(model["id"]) for model in self._sent("/models", None)["data"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ScorerError(f"judge: {self.base_url} does not say which models it has: {error}") from error
        if self.model not in served:
            raise ScorerError(f"judge: {self.base_url} serves {', '.join(served) or 'nothing'}, but not {self.model!r}")

    def score(self, item: Item) -> Mark:
        """The mark of one answer, asked for now."""
        return next(self.score_all([item], Tools()))

    def score_all(self, items: Sequence[Item], tools: Tools) -> Iterator[Mark]:
        """The marks of many; every different question is asked once."""
        questions = [self.question(item) for item in items]
        kept = _Kept(tools.cache)
        open_questions = [question for question in dict.fromkeys(questions) if kept.get(self._key(question)) is None]
        with ThreadPoolExecutor(self.concurrency) as pool:
            failed = dict(zip(open_questions, pool.map(lambda q: self._ask(q, kept), open_questions), strict=True))
        for question in questions:
            said = kept.get(self._key(question))
            yield Mark(None, failed[question]) if said is None else self.mark(said)

    def question(self, item: Item) -> str:
        """What the judge is sent."""
        reference = item.references[0] if item.references else ""
        own = {
            "answer": item.answer,
            "text": item.text,
            "reference": reference,
            "lowest": f"{self.lowest:g}",
            "highest": f"{self.highest:g}",
        }
        return filled(self.template, {**item.row, **own})

    def mark(self, said: str) -> Mark:
        """The grade in what the judge wrote: a number on its own, also as `Grade: 7` or `7/10`."""
        bare = (
            said.strip().strip("*`_").removeprefix("Grade").removeprefix("Score").removeprefix("Rating").lstrip(": *")
        )
        bare = bare.rstrip(" .*`").removesuffix(f"/{self.highest:g}").removesuffix(f" out of {self.highest:g}").strip()
        found = Number().extract(bare) if len(bare) <= 12 and not any(c.isalpha() for c in bare) else None
        if found is None or found.text is None:
            return Mark(None, f"the judge wrote prose instead of a grade: {said.strip()[:100]!r}")
        grade = float(value_of(found.text))
        if not self.lowest <= grade <= self.highest:
            return Mark(None, f"the judge's grade {grade:g} is outside of {self.lowest:g} to {self.highest:g}")
        return Mark((grade - self.lowest) / (self.highest - self.lowest))

    def _ask(self, question: str, kept: _Kept) -> str:
        """Ask and keep the answer; the reason where there is none."""
        messages = [{"role": "user", "content": question}]
        body = {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        try:
            said = str(self._sent("/chat/completions", body)["choices"][0]["message"]["content"])
        except (OSError, ValueError) as error:
            return f"the judge did not answer: {error}"
        except (KeyError, IndexError, TypeError):
            return "the judge's server answered in another form than chat completions"
        kept.put(self._key(question), said)
        return ""

    def _sent(self, path: str, body: Any) -> Any:
        """The JSON that the server answers; a busy one is asked again after 0.5 s, 1 s, 2 s, ..."""
        key = os.environ.get(self.api_key_variable)
        headers = {"Content-Type": "application/json", **self.base_url.authorization(key)}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url.at(path), data, headers)
        for attempt in range(self.retries + 1):
            try:
                with OPENER.open(request, timeout=self.timeout) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                said = self.base_url.without_keys(error.read()[:300].decode("utf-8", "replace"), key)
                if error.code not in BUSY or attempt == self.retries:
                    raise OSError(f"{error.code}: {said}") from error
            except HTTPException as error:
                if attempt == self.retries:
                    raise OSError(f"no whole answer: {type(error).__name__}") from error
            except OSError:
                if attempt == self.retries:
                    raise
            time.sleep(min(FIRST_WAIT * 2**attempt, LONGEST_WAIT))
        raise OSError("never asked")

    def _key(self, question: str) -> str:
        identity = json.dumps([self.base_url, self.model, self.temperature, self.max_tokens, question])
        return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()


class _Kept:
    """What a judge answered, by the key of the question, in `judge.jsonl` of a folder, appended as it comes in."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / "judge.jsonl"
        self._said: dict[str, str] = {}
        self._lock = Lock()
        if self.path is not None and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # a line that a kill cut off is asked again
                self._said[row["key"]] = row["said"]

    def get(self, key: str) -> str | None:
        """What was said, or None."""
        return self._said.get(key)

    def put(self, key: str, said: str) -> None:
        """Keep it."""
        with self._lock:
            self._said[key] = said
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "said": said}, ensure_ascii=False) + "\n")
