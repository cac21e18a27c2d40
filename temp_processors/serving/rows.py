"""Policies inside an engine that batches continuously: requests come, go and change rows, each with its own policy.

Knows no engine: what one has to say is which request sits in which row, and the live list of its new tokens.

```python
>>> import torch
>>> from temp_processors.serving import PolicyRows, Request, policy_of_request
>>> rows = PolicyRows()
>>> rows.add(1, Request(policy_of_request({"kind": "fixed", "temperature": 0.5}), prompt_ids=[5, 6], output_ids=[]))
>>> rows.apply(torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
tensor([[1., 2.],
        [2., 4.]])

```
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from temp_processors.config.errors import problem_at
from temp_processors.config.yaml_lines import YamlSource
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.kinds import build_policy
from temp_processors.policies.mistakes import PolicyMistakesError
from temp_processors.policies.monte_carlo import temperature_of
from temp_processors.policies.positions import NO_TOKEN

KEY = "temperature_policy"  # the name under which a request carries its policy


class PolicyError(ValueError):
    """A request's policy cannot be used; the message names each wrong parameter, what is allowed and what was given."""


def policy_of_request(value: Any) -> PolicyLogitsWarper:
    """The policy that a request describes, for prompts of length 0. Equal descriptions give the same object.

    Args:
        value: `{"kind": ..., parameters}` as in the YAML file of an experiment, or the same as JSON text (servers pass
            on only numbers, texts and lists). Tags have to be token ids: a request has no tokenizer.

    Raises:
        PolicyError: not JSON, not a mapping, or what the policy itself refuses; every problem at once.
    """
    try:
        data = json.loads(value) if isinstance(value, str) else value
        if not isinstance(data, Mapping):
            raise PolicyError(f"{KEY}: has to be a mapping with a `kind`, but is {value!r}")
        return _policy(json.dumps(data, sort_keys=True))
    except json.JSONDecodeError as error:
        raise PolicyError(f"{KEY}: is not JSON ({error}), but {value!r}") from error
    except TypeError as error:
        raise PolicyError(f"{KEY}: cannot be written as JSON ({error})") from error


@lru_cache(maxsize=1024)
def _policy(text: str) -> PolicyLogitsWarper:
    data = json.loads(text)
    try:
        policy = build_policy(data)
        _try_batches(policy)
    except PolicyMistakesError as error:
        problems = (problem_at(YamlSource(KEY, data), path, message) for path, message in error.mistakes)
        raise PolicyError("\n".join(map(str, problems))) from error
    except PolicyError:
        raise
    except ValueError as error:
        raise PolicyError(f"{KEY}: {error}") from error
    return policy


def _try_batches(policy: PolicyLogitsWarper) -> None:
    """Evaluate two batch sizes: a policy that fits one of them only would stop the engine, not just its request."""
    for rows in (2, 3):
        with_lengths = policy.with_prompt_length(torch.ones(rows, dtype=torch.long))
        try:
            with_lengths(torch.full((rows, 2), NO_TOKEN), torch.zeros(rows, 4))
        except ValueError as error:
            mismatch = str(error).partition(": ")[0]  # what follows speaks of the rows of `generate`
            raise PolicyError(f"{KEY}: {mismatch}; a request is one row: give one") from error


def of_text(request: Any, seed: int) -> Any:
    """The policy as the request of the text of this seed carries it: what is drawn from a seed is drawn on this side, at any depth."""
    if isinstance(request, list):
        return [of_text(item, seed) for item in request]
    if not isinstance(request, dict):
        return request
    if request.get("kind") == "monte_carlo":
        return {"kind": "fixed", "temperature": temperature_of(request["low"], request["high"], seed)}
    return {name: of_text(item, seed) for name, item in request.items()}


class Request:
    """One request in the batch.

    Args:
        policy: What chooses its temperature, from `policy_of_request`.
        prompt_ids: Tokens of the prompt; empty where the engine has only embeddings.
        output_ids: The engine's own list of new tokens, which it appends to. Read at every step, never changed.
    """

    def __init__(self, policy: PolicyLogitsWarper, prompt_ids: Sequence[int], output_ids: Sequence[int]) -> None:
        self.policy = policy
        self.output_ids = output_ids
        self._prompt = len(prompt_ids)
        self._ids = array("q", prompt_ids)

    def ids(self) -> array[int]:
        """Prompt and new tokens so far, without copying what an earlier step has seen."""
        self._ids.extend(self.output_ids[len(self._ids) - self._prompt :])
        return self._ids

    def last_id(self) -> int:
        """The newest token, `NO_TOKEN` where there is none."""
        if len(self.output_ids):
            return self.output_ids[-1]
        return self._ids[self._prompt - 1] if self._prompt else NO_TOKEN


class Group(NamedTuple):
    """Requests with one policy, and the rows of the batch that they sit in, rising."""

    policy: PolicyLogitsWarper
    requests: list[Request]
    rows: slice | Tensor


class PolicyRows:
    """Which request sits in which row. Rows without a request here are left alone, to the bit."""

    def __init__(self) -> None:
        self.requests: dict[int, Request] = {}
        self._groups: list[Group] | None = []

    def add(self, row: int, request: Request | None) -> None:
        """Put `request` into `row`, in place of what was there; None empties the row."""
        self._groups = None
        self.requests.pop(row, None)
        if request is not None:
            self.requests[row] = request

    def move(self, source: int, target: int, *, swap: bool = False) -> None:
        """Move the request of row `source` to row `target`; with `swap` the other one comes back."""
        moved, replaced = self.requests.get(source), self.requests.get(target)
        self.add(target, moved)
        self.add(source, replaced if swap else None)

    def apply(self, logits: Tensor) -> Tensor:
        """Every policy on its own rows of `logits` (batch, vocab), which may be changed in place."""
        if self._groups is None:
            self._groups = group(self.requests, logits.device)
        for policy, requests, rows in self._groups:
            scores = evaluate(policy, requests, logits[rows])
            if len(requests) == len(logits):
                return scores
            logits[rows] = scores
        return logits


def group(requests: Mapping[int, Request], device: torch.device) -> list[Group]:
    """Requests of one policy together. Rows without gaps are a slice, others an index on `device`."""
    rows_of: dict[int, list[int]] = {}
    for row in sorted(requests):
        rows_of.setdefault(id(requests[row].policy), []).append(row)
    return [
        Group(requests[rows[0]].policy, [requests[row] for row in rows], as_index(rows, device))
        for rows in rows_of.values()
    ]


def as_index(rows: Sequence[int], device: torch.device) -> slice | Tensor:
    """Rising row numbers as something that indexes a tensor."""
    if rows[-1] - rows[0] == len(rows) - 1:
        return slice(rows[0], rows[-1] + 1)
    return torch.tensor(rows, device=device)


def evaluate(policy: PolicyLogitsWarper, requests: Sequence[Request], scores: Tensor) -> Tensor:
    """`policy` on `scores`, one row per request, with the tokens of each request on the right of `input_ids`.

    A policy that `supports_continuous_batching` gets the last token alone, as transformers gives it.
    """
    if policy.supports_continuous_batching:
        last = torch.tensor([request.last_id() for request in requests]).view(-1, 1)
        return policy(last.to(scores.device, non_blocking=True), scores)
    table = left_padded([request.ids() for request in requests])
    new = torch.tensor([len(request.output_ids) for request in requests])
    input_ids = torch.from_numpy(table).to(scores.device, non_blocking=True)
    return policy.with_prompt_length(table.shape[1] - new)(input_ids, scores)


def left_padded(sequences: Sequence[array[int]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Token ids as rows of one width, (sequences, longest), `NO_TOKEN` on the left."""
    width = max(map(len, sequences))
    table = np.full((len(sequences), width), NO_TOKEN, dtype=np.int64)
    for row, ids in enumerate(sequences):
        table[row, width - len(ids) :] = ids
    return table
