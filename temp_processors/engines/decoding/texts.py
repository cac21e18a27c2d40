"""The texts of rows that began at different steps, as policies see them: every row's last token stands in the same column."""

from __future__ import annotations

import torch
from torch import Tensor

from temp_processors.policies.positions import NO_TOKEN


class Texts:
    """Token ids of the rows in flight, one line a place; in front of a text stands `NO_TOKEN`.

    Example:
        >>> texts = Texts()
        >>> texts.put(0, (5, 6, 7))
        >>> texts.write(slice(0, 1), torch.tensor([8]))
        >>> texts.advance(1)
        >>> texts.put(1, (9,))
        >>> texts.before(slice(0, 2), torch.tensor([1, 0]))
        tensor([[ 5,  6,  7,  8],
                [-1, -1, -1,  9]])
    """

    def __init__(self) -> None:
        self._ids = torch.full((0, 1), NO_TOKEN)
        self._prompts = torch.zeros(0, dtype=torch.long)
        self._now = 0  # the column of the token that is to be drawn

    def put(self, place: int, prompt: tuple[int, ...]) -> None:
        """A row at this place that begins with `prompt`, behind the last place or instead of the row that was there."""
        if place >= len(self._prompts):
            more = max(8, len(self._prompts))
            self._prompts = torch.cat([self._prompts, self._prompts.new_zeros(more)])
            self._ids = torch.cat([self._ids, torch.full((more, self._ids.shape[1]), NO_TOKEN)])
        if len(prompt) > self._now:
            missing = len(prompt) - self._now
            self._ids = torch.cat([torch.full((len(self._ids), missing), NO_TOKEN), self._ids], dim=1)
            self._now += missing
        self._ids[place, : self._now] = NO_TOKEN
        self._ids[place, self._now - len(prompt) : self._now] = torch.tensor(prompt)
        self._prompts[place] = len(prompt)

    def move(self, source: int, target: int) -> None:
        """The row at `source` goes to `target`."""
        self._ids[target], self._prompts[target] = self._ids[source], self._prompts[source]

    def advance(self, rows: int) -> None:
        """Go on to the next column; at the end of the room, leave out what is in front of all texts of the first `rows` places."""
        self._now += 1
        if self._now < self._ids.shape[1]:
            return
        used = (self._ids[:rows] != NO_TOKEN).any(dim=0).nonzero()
        first = int(used[0]) if len(used) else self._now
        kept = self._ids[:, first:]
        self._ids = torch.cat([kept, torch.full((len(kept), kept.shape[1] + 1), NO_TOKEN)], dim=1)
        self._now -= first

    def before(self, at: slice | Tensor, steps: Tensor) -> Tensor:
        """The texts at these places, of which `steps` tokens are new, in front of the column: (rows, tokens of the longest)."""
        width = int((self._prompts[at] + steps).max())
        return self._ids[at, self._now - width : self._now]

    def write(self, at: slice | Tensor, tokens: Tensor) -> None:
        """Tokens (rows,) at these places, in the column."""
        self._ids[at, self._now] = tokens
