"""What a server does with the fields that it is sent: a few short texts before anything is drawn say it.

A field at a value that leaves the likeliest token alone has to give, at a high temperature, the text of T = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from temp_processors.audit.findings import Finding
from temp_processors.engines.openai_answers import Text
from temp_processors.engines.openai_requests import DIALECTS, Asking, Prompt
from temp_processors.engines.server import RequestError, Server
from temp_processors.exchange.formats import exported
from temp_processors.exchange.steps import Step

PROMPT = "The quick brown fox"
TOKENS = 12
HOT = 2.0
"""The highest temperature that every server takes."""
SAME = 0.05
"""Nats by which the log-probability of one and the same token may differ between two requests."""
ALONE: dict[str, dict[str, Any]] = {
    "top_k": {"kind": "top_k", "top_k": 1},
    "top_p": {"kind": "top_p", "top_p": 1e-6},
    "min_p": {"kind": "min_p", "min_p": 1.0},
    "top_n_sigma": {"kind": "top_n_sigma", "n": 1e-6},
    "dynamic": {"kind": "dynamic", "temperature": HOT, "range": HOT, "exponent": 100.0},
}
"""By step: a policy that leaves the likeliest token alone, beside T = `HOT` for a cut."""
FIELD = {"dynamic": "dynatemp_range and dynatemp_exponent"}


@dataclass(frozen=True)
class Probed:
    """What a server does.

    Args:
        findings: What it ignores, and what it does not tell.
        log_probs: Whether it gives log-probabilities before the temperature.
    """

    findings: tuple[Finding, ...]
    log_probs: bool


class Probe:
    """Short texts of one server.

    Args:
        server: To ask.
        session: Its connections.
        asking: As the requests of the run.
        chat: Whether the run asks for chats.
    """

    def __init__(self, server: Server, session: aiohttp.ClientSession, asking: Asking, chat: bool) -> None:
        self.server, self.session = server, session
        self.asking = replace(asking, max_new_tokens=TOKENS, stop=())
        self.prompt: Prompt = [{"role": "user", "content": PROMPT}] if chat else PROMPT

    async def probed(self, steps: Iterable[Step]) -> Probed:
        """What the server does with seeds, temperatures and the fields of these steps.

        Raises:
            RequestError, ServerError: It does not answer, or refuses a field.
        """
        cold = self._fields({"kind": "fixed", "temperature": 0.0})
        greedy, cold_again = [(await self._text(cold, seed)).text for seed in (1, 2)]
        hot = self._fields({"kind": "fixed", "temperature": HOT})
        first, again, other = [(await self._text(hot, seed)).text for seed in (1, 1, 2)]
        found = [*_of_draws((greedy, cold_again), first, again, other)]
        for kind in sorted({step.kind for step in steps} & set(ALONE)):
            fields = self._alone(kind)
            if fields is not None and (await self._text(fields, 1)).text != greedy:
                name = FIELD.get(kind, kind)
                found.append(_warning("ignored", f"{name}: has no effect: the server draws on where one token is left"))
        if "samplers" in hot and (await self._text({**hot, "top_k": 1}, 1)).text == greedy != first:
            message = "samplers: has no effect: cuts and temperature act in the server's own order"
            found.append(_warning("ignored", message))
        why_not = await self._why_no_log_probs()
        if why_not is not None:
            found.append(Finding("no-log-probabilities", f"log_prob: null, and no perplexity: {why_not}", "info"))
        found.append(Finding("no-token-ids", "token_ids: null, and no traces: the server tells texts", "info"))
        if self.asking.stop:
            found.append(Finding("stop", "finish_reason: 'stop' also where a text of `stop` ended a text", "info"))
        return Probed(tuple(found), why_not is None)

    async def _text(self, fields: Any, seed: int) -> Text:
        (text,) = await self.asking.texts(self.server, self.session, self.prompt, fields, seed)
        return text

    def _fields(self, policy: dict[str, Any]) -> dict[str, Any]:
        return exported(policy, DIALECTS[self.asking.dialect].format).fields

    def _alone(self, kind: str) -> dict[str, Any] | None:
        """The fields of `ALONE`, a cut on the side of the temperature where the format has it; None where it has neither."""
        if kind == "dynamic":
            return self._fields(ALONE[kind])
        hot = {"kind": "fixed", "temperature": HOT}
        for steps in ([ALONE[kind], hot], [hot, ALONE[kind]]):
            said = exported({"kind": "chain", "steps": steps}, DIALECTS[self.asking.dialect].format)
            if not said.not_carried and "extra_args" not in said.fields:
                return said.fields
        return None

    async def _why_no_log_probs(self) -> str | None:
        """Why log-probabilities are not kept; None where the server gives those before the temperature."""
        if self.asking.dialect == "ollama":
            return "Ollama is not asked for it"
        once = replace(self.server, options=self.server.options.model_copy(update={"retries": 0}))
        asking = replace(self.asking, log_probs=5)
        best = []
        for temperature in (1.0, HOT):
            fields = self._fields({"kind": "fixed", "temperature": temperature})
            try:
                (text,) = await asking.texts(once, self.session, self.prompt, fields, 1)
            except RequestError as error:
                return f"the server refuses to tell it ({error})"
            if text.log_prob is None:
                return "the server does not tell it"
            best.append(None if text.log_probs is None else text.log_probs.best)
        if best[0] is None or best[1] is None:
            return "the server does not tell alternatives, so that nobody knows at which temperature it is"
        if abs(best[0] - best[1]) > SAME:
            return "the server tells it behind the temperature"
        return None


def _warning(code: str, message: str) -> Finding:
    return Finding(f"server-{code}", message, "warning")


def _of_draws(cold: tuple[str, str], first: str, again: str, other: str) -> Sequence[Finding]:
    """What texts say at T = 0 with the seeds 1 and 2, and at `HOT` with the seeds 1, 1 and 2."""
    if cold[0] != cold[1]:
        return [_warning("temperature", "temperature: has no effect: two seeds gave two texts at T = 0")]
    if cold[0] == first == again == other:
        return [_warning("temperature", f"temperature: has no effect: a text at T = {HOT:g} is the one at T = 0")]
    if first != again:
        return [
            _warning("seed", "seed: has no effect: one seed gave two texts; a run that is drawn again has other texts")
        ]
    if first == other:
        return [
            _warning(
                "seed", "seed: has no effect: two seeds gave one text; the samples of a prompt may be all the same"
            )
        ]
    return []
