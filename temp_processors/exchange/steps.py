"""A policy as a flat list of steps, whichever kinds say it, and a list of steps as a policy.

`chain`, `truncate_then_temper`, `generate` and `xtc` with its `then` all say "first this, then that". Other samplers have one list, or one
fixed order; between them stands this one. Steps that change nothing (T = 1, top-p of 1) are left out, and so is what follows greedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from temp_processors.policies.kinds import KINDS, BasePolicy, validated

PENALTIES = ("repetition_penalty", "no_repeat_ngram_size", "suppress_tokens")
"""Steps that are no kind of their own: parameters of `generate`, in its order."""
CUTS = ("top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon", "eta")
"""The cuts of `generate`, in its order."""
FIELD = {"epsilon": "epsilon_cutoff", "eta": "eta_cutoff", "fixed": "temperature", "top_n_sigma": "n"}
"""The one parameter of a step, where it is not named as the step."""


class Step(NamedTuple):
    """One thing that is done to the scores.

    Args:
        kind: A kind of policy, or one of `PENALTIES`.
        fields: Its parameters.
        place: Where it stands in the policy, such as `steps[1].then`; empty for the policy itself.
    """

    kind: str
    fields: Mapping[str, Any]
    place: str = ""

    @property
    def value(self) -> Any:
        """The one parameter of a cut, a penalty or a fixed temperature."""
        return self.fields[FIELD.get(self.kind, self.kind)]

    @property
    def greedy(self) -> bool:
        """Whether one token is left."""
        return self.kind == "fixed" and self.value == 0

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value!r}" for name, value in self.fields.items())
        name = f"{self.kind} ({shown})" if shown else self.kind
        return f"{self.place}: {name}" if self.place else name


def one(kind: str, value: Any, place: str = "") -> Step:
    """A step of one parameter."""
    return Step(kind, {FIELD.get(kind, kind): value}, place)


def steps_of(policy: Mapping[str, Any] | BasePolicy) -> list[Step]:
    """The steps of a policy, without those that change nothing.

    Raises:
        PolicyMistakesError: A ValueError that names every mistake in the policy.

    Example:
        >>> [str(step) for step in steps_of({"kind": "generate", "temperature": 0.6, "top_k": 20})]
        ['fixed (temperature 0.6)', 'top_k (top_k 20)']
    """
    model = policy if isinstance(policy, BasePolicy) else validated(policy)
    return _without_idle(_walk(model, ""))


def _walk(model: BasePolicy, place: str) -> Iterator[Step]:
    fields = {name: getattr(model, name) for name in type(model).model_fields if name != "kind"}
    if model.kind == "chain":
        for number, step in enumerate(fields["steps"]):
            yield from _walk(step, _below(place, f"steps[{number}]"))
    elif model.kind == "truncate_then_temper":
        yield from (one(name, fields[name], place) for name in CUTS if fields.get(name) is not None)
        yield from _walk(fields["policy"], _below(place, "policy"))
    elif model.kind == "generate":
        yield from _of_generate(fields, place)
    elif model.kind == "xtc":
        yield Step("xtc", {name: fields[name] for name in ("probability", "threshold")}, place)
        if fields["then"] is not None:
            yield from _walk(fields["then"], _below(place, "then"))
    elif model.kind == "checkpoint" and fields["policy"] is not None:
        yield from _walk(fields["policy"], _below(place, "policy"))
    elif model.kind == "dynamic" and fields["range"] == 0:
        yield one("fixed", fields["temperature"], place)
    else:
        yield Step(model.kind, plain(fields), place)


def _below(place: str, part: str) -> str:
    return f"{place}.{part}" if place else part


def _of_generate(fields: Mapping[str, Any], place: str) -> Iterator[Step]:
    off = {"repetition_penalty": 1.0, "typical_p": 1.0}
    for kind in (*PENALTIES, "fixed", *CUTS):
        value = fields[FIELD.get(kind, kind)]
        if value and value != off.get(kind) and not (kind in ("epsilon", "eta") and value == 1.0):
            yield one(kind, plain(value), place)


def plain(value: Any) -> Any:
    """Models inside a value as mappings, tuples as lists: what JSON and YAML hold."""
    if isinstance(value, BasePolicy):
        held = {name: getattr(value, name) for name in type(value).model_fields}
        return {name: plain(held[name]) for name in held if name == "kind" or not _default(value, name)}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _default(model: BasePolicy, name: str) -> bool:
    info = type(model).model_fields[name]
    return not info.is_required() and bool(getattr(model, name) == info.default)


def _without_idle(steps: Iterable[Step]) -> list[Step]:
    """Without steps that change nothing: by their parameters, or because one token is left."""
    kept: list[Step] = []
    for step in steps:
        done = bool(kept) and kept[-1].greedy and step.kind in ("fixed", "dynamic", "top_n_sigma", "xtc", *CUTS)
        if not (done or _idle(step)):
            kept.append(step)
    return kept


def _idle(step: Step) -> bool:
    if step.kind == "xtc":
        return bool(step.fields["probability"] == 0 or step.fields["threshold"] > 0.5)  # two tokens cannot reach more
    idle = {"fixed": 1.0, "top_p": 1.0, "min_p": 0.0}
    return bool(step.kind in idle and step.value == idle[step.kind])


def policy_of(steps: Sequence[Step]) -> dict[str, Any]:
    """The policy that does these steps, with no more kinds than they need; T = 1 for none.

    Example:
        >>> policy_of([one("top_k", 20), Step("xtc", {"probability": 0.5, "threshold": 0.1}), one("fixed", 0.8)])["steps"][1]
        {'kind': 'xtc', 'probability': 0.5, 'threshold': 0.1, 'then': {'kind': 'fixed', 'temperature': 0.8}}
    """
    links: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        if step.kind in PENALTIES:
            _add_penalty(links, step)
        elif step.kind == "xtc" and number + 1 < len(steps):
            links.append({"kind": "xtc", **step.fields, "then": policy_of(steps[number + 1 :])})
            break
        else:
            links.append({"kind": step.kind, **_given(step)})
    if len(links) == 1:
        return links[0]
    return {"kind": "chain", "steps": links} if links else {"kind": "fixed", "temperature": 1.0}


def _add_penalty(links: list[dict[str, Any]], step: Step) -> None:
    """A penalty as a `generate` that does nothing else; neighbours in its order share one."""
    last = links[-1] if links else {}
    held = [name for name in PENALTIES if name in last]
    if last.get("kind") == "generate" and PENALTIES.index(step.kind) > PENALTIES.index(held[-1]):
        last[step.kind] = plain(step.value)
    else:
        links.append({"kind": "generate", "top_k": 0, step.kind: plain(step.value)})


def _given(step: Step) -> dict[str, Any]:
    """The parameters that are not at their default."""
    known = KINDS[step.kind].model_fields
    optional = {name for name, info in known.items() if not info.is_required()}
    return {
        name: value
        for name, value in step.fields.items()
        if name not in optional or value != plain(known[name].default)
    }


SWAPPED = {
    frozenset(pair)
    for pair in (
        ("fixed", "top_k"),
        ("fixed", "top_n_sigma"),
        ("top_k", "min_p"),
        ("repetition_penalty", "suppress_tokens"),
    )
}
"""Kinds that do the same in either order: a division by T keeps order and falls in standard deviations, top-k and min-p both keep a
head of the sorted tokens that does not depend on the rest, and a token that is ruled out has no score to be penalised."""


def swapped(left: Step, right: Step) -> bool:
    """Whether two steps, one after the other, may change places."""
    pair = {left.kind, right.kind}
    return pair in SWAPPED or (pair == {"fixed", "min_p"} and (left.greedy or right.greedy))


class Fitted(NamedTuple):
    """Steps in the order of a format, and sentences about those that do not go there."""

    steps: list[Step]
    not_carried: list[str]


def fitted(steps: Sequence[Step], order: Sequence[str], target: str) -> Fitted:
    """The steps that a format with one fixed order can say.

    Args:
        steps: Of a policy.
        order: The kinds that the format has, in the order in which it applies them.
        target: Name of the format, for the sentences.
    """
    found: list[Step] = []
    problems: list[str] = []
    for step in steps:
        if step.kind not in order or not _single(step):
            problems.append(f"{step} has no counterpart in {target}")
            continue
        place = len(found)
        while place and order.index(found[place - 1].kind) >= order.index(step.kind):
            other = found[place - 1]
            if other.kind == step.kind:
                problems.append(f"{step} stands beside {other}: {target} has one {step.kind}")
                break
            if not swapped(other, step):
                problems.append(f"{step} comes after {other}, which {target} does the other way round")
                break
            place -= 1
        else:
            found.insert(place, step)
    return Fitted(_without_idle(found), problems)


def _single(step: Step) -> bool:
    """Whether it says the same for every row of a batch: a fixed temperature may be a list."""
    return not (step.kind == "fixed" and isinstance(step.value, (list, tuple)))
