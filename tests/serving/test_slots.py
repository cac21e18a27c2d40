"""Policies in an engine that keeps requests in slots and guesses tokens: each row of scores as `generate` would have it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch

from temp_processors import build_policy
from temp_processors.serving.rows import policy_of_request
from temp_processors.serving.slots import PolicySlots, SlotRows
from tests.serving.request_policies import COOLING, REQUEST_POLICIES

VOCAB, LONGEST = 300, 40
TOKENS = [5, 14, 16, 261, 262, 7]
GUESSES = [0, 1, 2, 3]


class Toy:
    """An engine of a few slots: a table of tokens with rubbish behind the accepted ones, and guesses of which some are taken back."""

    def __init__(self, slots: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tokens = torch.randint(0, VOCAB, (slots, LONGEST), dtype=torch.int32)
        self.free = list(range(slots))
        self.specs: dict[int, dict[str, object] | None] = {}
        self.prompts: dict[int, list[int]] = {}
        self.new: dict[int, list[int]] = {}
        self.policies = PolicySlots()

    def add(self, spec: dict[str, object] | None) -> None:
        slot = self.free.pop()
        self.specs[slot] = spec
        self.prompts[slot], self.new[slot] = self.rng.choices(TOKENS, k=self.rng.randint(1, 7)), []
        assert self.policies.put(slot, None if spec is None else policy_of_request(spec)) == (spec is not None)
        self._write(slot)

    def remove(self, slot: int) -> None:
        """The slot is given back as vLLM gives it back: nothing tells the policies, the next request takes it over."""
        del self.specs[slot]
        self.free.append(slot)

    def step(self) -> tuple[SlotRows, list[tuple[int, list[int]]]]:
        """The rows of one step in a random order of requests; for each row its slot and the guesses that it sees."""
        seen: list[tuple[int, list[int]]] = []
        fed: list[int] = []
        for slot in self.rng.sample(sorted(self.specs), len(self.specs)):
            guesses = self.rng.choices(TOKENS, k=self.rng.choice(GUESSES))
            last = (self.prompts[slot] + self.new[slot])[-1]
            for count in range(len(guesses) + 1):
                seen.append((slot, guesses[:count]))
                fed.append(([last, *guesses])[count])
        lengths = [len(self.prompts[slot]) + len(self.new[slot]) + len(guesses) for slot, guesses in seen]
        rows = SlotRows(
            slots=[slot for slot, _ in seen],
            lengths=lengths,
            prompts=[len(self.prompts[slot]) for slot, _ in seen],
            guessed=[len(guesses) for _, guesses in seen],
            fed=torch.tensor(fed, dtype=torch.int32),
            tokens=self.tokens,
        )
        return rows, seen

    def accept(self, seen: Sequence[tuple[int, list[int]]]) -> None:
        """Of the guesses of every request a random number is accepted, and one token is drawn after them."""
        for slot, guesses in dict(seen).items():
            self.new[slot] += guesses[: self.rng.randint(0, len(guesses))] + self.rng.choices(TOKENS)
            self._write(slot)

    def _write(self, slot: int) -> None:
        ids = self.prompts[slot] + self.new[slot]
        self.tokens[slot, : len(ids)] = torch.tensor(ids, dtype=torch.int32)

    def alone(self, slot: int, guesses: list[int], scores: torch.Tensor) -> torch.Tensor:
        """What `generate` would apply to this row in a batch of one."""
        spec, prompt = self.specs[slot], self.prompts[slot]
        if spec is None:
            return scores
        policy = build_policy(spec, prompt_length=len(prompt))
        return policy(torch.tensor([prompt + self.new[slot] + guesses]), scores[None])[0]


def test_every_row_has_the_scores_that_generate_gives_it() -> None:
    toy, compared = Toy(slots=6, seed=1), set()
    waiting = [*REQUEST_POLICIES, "none", "none", "none", "none"]
    toy.rng.shuffle(waiting)
    while waiting or toy.specs:
        while waiting and toy.free:
            toy.add(REQUEST_POLICIES.get(waiting.pop()))
        rows, seen = toy.step()
        scores = torch.randn(len(seen), VOCAB) * 3
        result = toy.policies.apply(scores.clone(), rows)
        wanted = torch.stack([toy.alone(*row, scores[place]) for place, row in enumerate(seen)])
        torch.testing.assert_close(result, wanted, rtol=1e-6, atol=1e-6)
        untouched = [place for place, (slot, _) in enumerate(seen) if toy.specs[slot] is None]
        assert torch.equal(result[untouched], scores[untouched])
        toy.accept(seen)
        compared |= {(id(toy.specs[slot]), len(guesses)) for slot, guesses in seen}
        for slot in [slot for slot, new in toy.new.items() if slot in toy.specs and len(new) > 9]:
            toy.remove(slot)
    assert len({policy for policy, guesses in compared if guesses}) >= len(REQUEST_POLICIES)


def test_a_slot_that_is_taken_over_forgets_the_policy_that_it_had() -> None:
    slots, scores = PolicySlots(), torch.randn(1, VOCAB)
    assert slots.put(0, policy_of_request(COOLING))
    assert slots.any_in([3, 0])
    assert not slots.put(0, None)
    assert not slots.any_in([0])
    rows = SlotRows([0], [1], [1], [0], torch.tensor([5]), torch.zeros(1, 4, dtype=torch.int32))
    assert slots.apply(scores, rows) is scores


@pytest.mark.parametrize("slots", [[-1, -1], [2, -1]])
def test_rows_of_no_request_are_left_alone(slots: list[int]) -> None:
    policies, scores = PolicySlots(), torch.ones(2, 3)
    policies.put(2, policy_of_request({"kind": "fixed", "temperature": 0.5}))
    rows = SlotRows(slots, [1, 1], [1, 1], [0, 0], torch.tensor([5, 5]), torch.zeros(4, 4, dtype=torch.int32))
    assert policies.apply(scores, rows)[:, 0].tolist() == [2.0 if slot == 2 else 1.0 for slot in slots]


def test_a_prompt_taken_in_by_parts_is_at_step_0() -> None:
    policies, tokens = PolicySlots(), torch.tensor([[5, 7, 5, 7]], dtype=torch.int32)
    policies.put(0, policy_of_request(COOLING))
    for length in (2, 4):
        rows = SlotRows([0], [length], [4], [0], torch.tensor([7]), tokens)
        assert policies.apply(torch.ones(1, 3), rows)[0, 0].item() == pytest.approx(1 / 1.5)
