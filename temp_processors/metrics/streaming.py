"""Statistics of texts that are read once and not kept in memory, for the metrics that need counts only.

Scores and intervals equal those of the texts in memory, up to rounding. Tokens, texts and n-grams are told apart by 64 bits (among a
billion different ones two may be taken for equal with a chance of 3 %). Tokens go to a temporary file, 8 bytes each; n-grams are counted
one n after the other in buckets of such files, at most 12 bytes a token, so memory grows with the number of texts alone: about 12 bytes
for each, and 40 while an interval is made.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Bools, Ints
from temp_processors.metrics.ngrams import different_in_texts, ngram_starts
from temp_processors.metrics.plain import PlainTexts
from temp_processors.metrics.scratch import Piece, Scratch
from temp_processors.metrics.spread import Spread, holders_of_blocks, spread_of_blocks
from temp_processors.metrics.statistics import Inside
from temp_processors.metrics.texts import TokenizedTexts
from temp_processors.metrics.tokenizers import Splitter, splitter
from temp_processors.splitmix import GOLDEN_WORD, finalised

CHUNK = 1 << 16
"""Tokens and texts that are kept before they go to the file."""
BLOCK = 1 << 20
"""n-grams that are sorted into buckets at a time."""
DECIDING = 1000
"""Texts, the first ones, by which `tokenizer="auto"` decides."""


class Needs(NamedTuple):
    """What a stream has to count.

    Args:
        inside: Every n for which n-grams are counted text by text.
        compressed: Whether the texts are compressed.
    """

    inside: frozenset[int] = frozenset()
    compressed: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.inside | other.inside, self.compressed or other.compressed)


NOTHING_MORE = Needs()


class StreamedTexts:
    """Statistics of texts, to be given to a metric in place of the texts.

    Args:
        needs: What will be asked of it beside n-grams over all texts, which it always knows.
        tokenizer: As for `tokenize`. `auto` decides by the first `DECIDING` texts of the first call of `add`, and then stays.
        first: Cut every text to its first tokens (what is compressed is then the text up to there); None keeps all.
        name: How signatures name that cut.
        scratch: The temporary file, where several streams share one.

    Example:
        >>> from temp_processors.metrics import distinct_n
        >>> stream = StreamedTexts()
        >>> stream.add(["a b a b"]).add(["a b c"]).count_ngrams(2)
        (3, 5)
        >>> distinct_n(stream, 2).value
        0.6
    """

    def __init__(
        self,
        needs: Needs = NOTHING_MORE,
        *,
        tokenizer: Any = "auto",
        first: int | None = None,
        name: str = "first",
        scratch: Scratch | None = None,
    ) -> None:
        if first is not None and first < 1:
            raise ValueError(f"`first` has to be an integer >= 1 or None, but is {first!r}")
        self._needs, self._first = needs, first
        self._splitter: Splitter | None = None if tokenizer == "auto" else splitter(tokenizer)
        self.length = "full" if first is None else f"{name}:{first}"
        self._scratch = Scratch() if scratch is None else scratch
        self._chunks: list[tuple[Piece, Piece]] = []  # tokens, and the digests of the texts
        self._lengths, self._sizes, self._tokens = array("i"), Counter[int](), 0
        self._inside = {n: array("i") for n in needs.inside}
        self._whole = array("i")  # lengths before the cut, where there is one
        self._plain = PlainTexts(self._scratch) if needs.compressed else None
        self._order: Ints | None = None
        self._units: Ints | None = None
        self._start_chunk()
        self._forget()

    def add(self, texts: Iterable[str]) -> StreamedTexts:
        """Count these texts too; returns the stream.

        Raises:
            TypeError: `texts` is one string, or one of them is not a string.
            ValueError: There is no room for the temporary file.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError("`texts` has to be a list of strings, but is one string: write [text]")
        self._forget()
        splitter, texts = self._decided(iter(texts))
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"`texts[{position}]` has to be a string, but is {text!r}")
            tokens = splitter.split(text)
            if self._first is not None:
                self._whole.append(len(tokens))
            if self._first is not None and len(tokens) > self._first:
                tokens = tokens[: self._first]
                text = splitter.beginning(text, self._first) if self._plain is not None else ""
            if self._plain is not None:
                self._plain.add(text)
            self._ids.extend(map(hash, tokens))
            self._end_text(len(tokens))
        return self

    def _decided(self, texts: Iterator[str]) -> tuple[Splitter, Iterator[str]]:
        """The tokenizer, chosen by the first texts where it is not yet, and all the texts."""
        if self._splitter is not None:
            return self._splitter, texts
        first = list(islice(texts, DECIDING))
        chosen = splitter("auto", first)
        self._splitter = chosen if first else None
        return chosen, chain(first, texts)

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer, for signatures."""
        return (self._splitter or splitter("auto")).name

    def _end_text(self, tokens: int) -> None:
        """Count the text whose tokens came last."""
        digest = blake2b(memoryview(self._ids)[len(self._ids) - tokens :], digest_size=8).digest()
        self._digests.append(int.from_bytes(digest, "little"))
        self._lengths.append(tokens)
        self._sizes[tokens] += 1
        self._tokens += tokens
        if len(self._ids) + len(self._digests) >= CHUNK:
            self._keep_chunk()

    def _start_chunk(self) -> None:
        self._ids, self._digests = array("q"), array("Q")

    def _keep_chunk(self) -> None:
        ids, digests = np.frombuffer(self._ids, dtype=np.int64), np.frombuffer(self._digests, dtype=np.uint64)
        if self._inside:
            _, numbers = np.unique(ids, return_inverse=True)
            chunk = TokenizedTexts(numbers, starts_of(np.array(self._lengths[-len(digests) :])), self.tokenizer)
            for n, different in self._inside.items():
                different.extend(different_in_texts(chunk, n).tolist())
        self._chunks.append((self._scratch.write(mixed(ids)), self._scratch.write(digests)))
        self._start_chunk()

    def _settle(self) -> None:
        if self._digests:
            self._keep_chunk()

    def _forget(self) -> None:
        """Forget what was counted of fewer texts."""
        self._counted: dict[int, int] = {}
        self._frequencies: Ints | None = None
        self._last: tuple[int, Ints, Spread] | None = None
        self._compressed: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, shape (texts,)."""
        return np.array(self._lengths)

    @property
    def counts(self) -> dict[str, float]:
        """`texts`, `tokens`, `duplicate_share`."""
        share = (len(self) - self.different_texts) / len(self) if len(self) else 0.0
        return {"texts": len(self), "tokens": self._tokens, "duplicate_share": share}

    @property
    def different_texts(self) -> int:
        """Number of texts that differ from every earlier text."""
        return self._different(0)

    @property
    def frequencies(self) -> Ints:
        """How often each different token occurs, shape (types,)."""
        if self._frequencies is None:
            self._spread(1, self.units)
        assert self._frequencies is not None
        return self._frequencies

    def shorter_than(self, n: int) -> float:
        """Share of the texts with fewer than n tokens."""
        return sum(texts for length, texts in self._sizes.items() if length < n) / len(self) if len(self) else 0.0

    def count_ngrams(self, n: int) -> tuple[int, int]:
        """Number of different n-grams and number of n-grams, of all texts together."""
        return self._different(n), sum(max(0, length - n + 1) * texts for length, texts in self._sizes.items())

    def inside(self, n: int) -> Inside:
        """n-grams counted text by text."""
        self._settle()
        return Inside.of(np.array(self._inside[n]), np.maximum(self.lengths - (n - 1), 0))

    @property
    def compressed(self) -> tuple[int, int]:
        """Bytes of the texts joined by a space, and of one gzip of them at level 9."""
        if self._plain is None:
            raise ValueError("the texts were not kept to be compressed: `needs` has to say so")
        if self._compressed is None:
            self._compressed = self._plain.compressed(self._order)
        return self._compressed

    def spread(self, n: int, units: Ints) -> Spread:
        """How n-grams spread over units; `units` says which one each text belongs to, shape (texts,)."""
        return self._spread(n, units)

    def text_spread(self, units: Ints) -> Spread:
        """How whole texts spread over units."""
        return self._spread(0, units)

    @property
    def units(self) -> Ints:
        """The unit of each text: the text itself, unless others were set. Setting them forgets what was counted."""
        if self._units is None or len(self._units) != len(self):
            self._units = np.arange(len(self), dtype=np.int32)
        return self._units

    @units.setter
    def units(self, units: Ints) -> None:
        self._units, self._last = units, None

    def cut(self, lengths: Ints, name: str, scratch: Scratch | None = None) -> StreamedTexts:
        """The first tokens of every text, as many as `lengths` says, shape (texts,), as a stream whose scores say `len:name`.

        Example:
            >>> StreamedTexts().add(["a b c", "d"]).cut(np.array([2, 1]), "paired").count_ngrams(1)
            (3, 3)
        """
        found = StreamedTexts(Needs(self._needs.inside), tokenizer=self._splitter or "auto", scratch=scratch)
        found.length = name
        return self._copied(found, lengths, np.ones(len(self), dtype=bool))

    def take(self, kept: Bools) -> StreamedTexts:
        """The texts of this mask, shape (texts,), as a stream.

        Example:
            >>> StreamedTexts().add(["a b c", "d", "a"]).take(np.array([True, False, True])).count_ngrams(1)
            (3, 4)
        """
        found = StreamedTexts(self._needs, tokenizer=self._splitter or "auto", scratch=self._scratch)
        found._first, found.length = self._first, self.length
        found._whole = array("i", np.array(self._whole, dtype=np.int32)[kept].tolist() if self._whole else ())
        if self._plain is not None:
            found._plain = self._plain.take(np.flatnonzero(kept).tolist())
        return self._copied(found, self.lengths, kept)

    def _copied(self, found: StreamedTexts, lengths: Ints, chosen: Bools) -> StreamedTexts:
        """The first tokens of the chosen texts added to another stream."""
        self._settle()
        text = 0
        for tokens, digests in self._chunks:
            ids, here = self._scratch.read(tokens), slice(text, text + digests.size)
            some, begins = chosen[here], starts_of(np.array(self._lengths[here]))[:-1]
            for begin, kept in zip(begins[some].tolist(), lengths[here][some].tolist(), strict=True):
                found._ids.frombytes(ids[begin : begin + kept].tobytes())
                found._end_text(kept)
            text += digests.size
        return found

    def arrange(self, order: Ints) -> None:
        """Compress the texts in this order of their places; all else does not depend on one."""
        self._order, self._compressed = order, None

    @property
    def left_out_tokens(self) -> int:
        """Tokens that were cut off by `first`."""
        return int(np.array(self._whole, dtype=np.int64).sum()) - self._tokens if self._whole else 0

    def holders(self, n: int) -> Ints:
        """How many n-grams are held by 0, 1, 2... of the texts, shape (texts + 1,)."""
        self._settle()
        total = sum(max(0, length - n + 1) * texts for length, texts in self._sizes.items())
        return holders_of_blocks(self._grams(n, np.arange(len(self))), total, len(self))

    def _different(self, n: int) -> int:
        if n not in self._counted:
            self._last = n, self.units, self._spread(n, self.units)  # whoever counts n-grams asks how they spread next
        return self._counted[n]

    def _spread(self, n: int, units: Ints) -> Spread:
        """That of n-grams, of whole texts for n = 0."""
        self._settle()
        last, self._last = self._last, None
        if last is not None and last[0] == n and last[1] is units:
            return last[2]
        del last  # before the next one takes room
        sizes = np.maximum(self.lengths - (n - 1), 0) if n else np.ones(len(self), dtype=np.int32)
        held = np.zeros(int(units.max()) + 1 if len(units) else 0, dtype=np.int64)
        np.add.at(held, units, sizes)
        frequencies: list[Ints] | None = [np.zeros(0, dtype=np.int64)] if n == 1 else None
        found = spread_of_blocks(self._grams(n, units), held, frequencies)
        if frequencies is not None:
            self._frequencies = np.concatenate(frequencies)
        self._counted[n] = found.kinds
        return found

    def _grams(self, n: int, units: Ints) -> Iterator[tuple[Ints, Ints]]:
        """n-grams (texts for n = 0) as 64-bit numbers, with the unit of each, some at a time."""
        text = 0
        for chunks in self._together():
            texts = sum(digests.size for _, digests in chunks)
            own = units[text : text + texts]
            if n:
                lengths = np.array(self._lengths[text : text + texts])
                ids = np.concatenate([self._scratch.read(tokens) for tokens, _ in chunks])
                places = ngram_starts(TokenizedTexts(ids, starts_of(lengths), ""), n)
                grams = np.zeros(len(places), dtype=np.uint64)
                for offset, odd in enumerate(mixed(np.arange(n)) | np.uint64(1)):
                    grams += ids[places + offset] * odd
                yield grams, np.repeat(own, np.maximum(lengths - (n - 1), 0))
            else:
                yield np.concatenate([self._scratch.read(digests) for _, digests in chunks]), own
            text += texts

    def _together(self) -> Iterator[list[tuple[Piece, Piece]]]:
        """The chunks, as many at a time as hold about `BLOCK` tokens."""
        held: list[tuple[Piece, Piece]] = []
        for chunk in self._chunks:
            held.append(chunk)
            if sum(tokens.size + digests.size for tokens, digests in held) >= BLOCK:
                yield held
                held = []
        if held:
            yield held


def mixed(numbers: Ints) -> Ints:
    """64-bit numbers as unsigned ones whose bits are as good as random; equal where these are equal.

    Example:
        >>> [f"{number:016x}" for number in mixed(np.array([0, 1])).tolist()]
        ['e220a8397b1dcdaf', '910a2dec89025cc1']
    """
    return finalised(numbers.astype(np.uint64) + GOLDEN_WORD)


def starts_of(lengths: Ints) -> Ints:
    """Where texts of these lengths begin, and the number of tokens at the end, shape (texts + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
