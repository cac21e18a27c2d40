"""Phases that never opened: policies of kind `phase` whose opening tag is in no text of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from temp_processors.policies.kinds import BasePolicy
from temp_processors.runs.sample import Sample

Tag = tuple[int, ...]


def unopened_phases(
    policies: Mapping[str, BasePolicy], samples: Iterable[Sample], prompts: Sequence[Sequence[int]], tokenizer: Any
) -> list[str]:
    """A line for every policy with a phase whose opening tag no prompt and no text of it holds; such a phase did nothing.

    Args:
        policies: By name.
        samples: Every text of the run.
        prompts: Token ids of every prompt.
        tokenizer: Resolves tags given as text.
    """
    waiting = {name: set(opening_tags(policy, tokenizer)) for name, policy in policies.items()}
    if not any(waiting.values()):
        return []
    for sample in samples:
        if tags := waiting.get(sample.policy):
            tokens = [*prompts[sample.prompt_id], *(sample.token_ids or ())]
            tags -= {tag for tag in tags if holds(tokens, tag)}
    return [
        f"policy {name!r}: a phase never opened: no prompt and no text of it holds the opening tag {list(tag)}"
        for name, tags in waiting.items()
        for tag in sorted(tags)
    ]


def opening_tags(policy: BasePolicy, tokenizer: Any) -> Iterator[Tag]:
    """The opening tags of a policy and of the policies inside it."""
    if policy.kind == "phase":
        yield tuple(policy.arguments(tokenizer)["open_ids"])
    for name in type(policy).model_fields:
        value = getattr(policy, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, BasePolicy):
                yield from opening_tags(item, tokenizer)


def holds(tokens: Sequence[int], tag: Tag) -> bool:
    """Whether the tag stands in the tokens.

    Example:
        >>> holds([1, 7, 7, 8], (7, 8)), holds([7, 1, 8], (7, 8))
        (True, False)
    """
    length = len(tag)
    return any(tuple(tokens[i : i + length]) == tag for i, token in enumerate(tokens) if token == tag[0])
