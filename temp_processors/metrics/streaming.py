"""Statistics of texts that are read once and not kept, for the metrics that need counts only.

Scores equal those of the texts in memory (means over texts to the last digit but one, because they are summed in another order). Memory
grows with what is different: a number for each different token, 16 bytes for each different n-gram up to the n that is asked for, and 16
bytes for each different text, of which a 64-bit digest is kept (among a billion texts two may be taken for equal with a chance of 3 %).
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, count, islice
from typing import Any, NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.statistics import Inside
from temp_processors.metrics.texts import TokenizedTexts
from temp_processors.metrics.tokenizers import Splitter, splitter

CHUNK = 1 << 20
"""Tokens and texts counted at a time."""
DECIDING = 1000
"""Texts, the first ones, by which `tokenizer="auto"` decides."""
TOKEN_BITS = 31
"""Room for different tokens in a packed n-gram; 2 ** 32 different (n - 1)-grams fit beside them."""


class Needs(NamedTuple):
    """What a stream has to count.

    Args:
        ngrams: Largest n of n-grams over all texts; 0 for none.
        inside: Every n for which n-grams are counted text by text.
        compressed: Whether the texts are compressed.
    """

    ngrams: int = 0
    inside: frozenset[int] = frozenset()
    compressed: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(max(self.ngrams, other.ngrams), self.inside | other.inside, self.compressed or other.compressed)


class StreamedTexts:
    """Statistics of texts, to be given to a metric in place of the texts.

    Args:
        needs: What will be asked of it.
        tokenizer: As for `tokenize`. `auto` decides by the first `DECIDING` texts of the first call of `add`, and then stays.
        first: Cut every text to its first tokens (what is compressed is then the text up to there); None keeps all.
        name: How signatures name that cut.

    Example:
        >>> from temp_processors.metrics import distinct_n
        >>> stream = StreamedTexts(Needs(ngrams=2))
        >>> stream.add(["a b a b"]).add(["a b c"]).count_ngrams(2)
        (3, 5)
        >>> distinct_n(stream, 2).value
        0.6
    """

    def __init__(self, needs: Needs, *, tokenizer: Any = "auto", first: int | None = None, name: str = "first") -> None:
        if first is not None and first < 1:
            raise ValueError(f"`first` has to be an integer >= 1 or None, but is {first!r}")
        self._needs, self._first = needs, first
        self._splitter: Splitter | None = None if tokenizer == "auto" else splitter(tokenizer)
        self.length = "full" if first is None else f"{name}:{first}"
        self._numbers: defaultdict[Hashable, int] = defaultdict(count().__next__)
        self._frequencies = np.zeros(0, dtype=np.int64)
        self._lengths: Counter[int] = Counter()
        self._digests = Numbering()
        self._tables = {n: Numbering() for n in range(2, needs.ngrams + 1)}
        self._inside = {n: [0, 0.0] for n in needs.inside}
        self._packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        self._bytes = self._packed = 0
        self._start_chunk()

    def add(self, texts: Iterable[str]) -> StreamedTexts:
        """Count these texts too; returns the stream.

        Raises:
            TypeError: `texts` is one string, or one of them is not a string.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError("`texts` has to be a list of strings, but is one string: write [text]")
        splitter, texts = self._decided(iter(texts))
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"`texts[{position}]` has to be a string, but is {text!r}")
            tokens = splitter.split(text)
            if self._first is not None and len(tokens) > self._first:
                tokens = tokens[: self._first]
                text = splitter.beginning(text, self._first) if self._needs.compressed else ""
            self._take(tokens, text)
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

    def _take(self, tokens: Sequence[Hashable], text: str) -> None:
        begin = len(self._ids)
        self._ids.extend(map(self._numbers.__getitem__, tokens))
        self._starts.append(len(self._ids))
        digest = blake2b(memoryview(self._ids)[begin:], digest_size=8).digest()
        self._pending.append(int.from_bytes(digest, "little", signed=True))
        self._lengths[len(tokens)] += 1
        if self._needs.compressed:
            plain = (" " * (len(self) > 1) + text).encode("utf-8", errors="surrogatepass")
            self._bytes += len(plain)
            self._packed += len(self._packer.compress(plain))
        if len(self._ids) + len(self._pending) >= self._room:
            self._count_chunk()

    def _start_chunk(self) -> None:
        self._ids, self._starts, self._pending = array("q"), array("q", [0]), array("q")
        largest = max((len(table) for table in (self._digests, *self._tables.values())), default=0)
        self._room = max(CHUNK, largest // 4)  # in proportion, so that all merging stays linear

    def _count_chunk(self) -> None:
        starts = np.frombuffer(self._starts, dtype=np.int64)
        chunk = TokenizedTexts(np.frombuffer(self._ids, dtype=np.int64), starts, self.tokenizer)
        frequencies = np.bincount(chunk.ids, minlength=len(self._numbers)).astype(np.int64)
        frequencies[: len(self._frequencies)] += self._frequencies
        self._frequencies = frequencies
        self._digests.number(np.frombuffer(self._pending, dtype=np.int64))
        grams, place, ends = chunk.ids, np.arange(len(chunk.ids)), np.repeat(chunk.starts[1:], chunk.lengths)
        for n, table in self._tables.items():
            inside = place < ends[place] - (n - 1)
            place, grams = place[inside], grams[inside]
            grams = table.number((grams << TOKEN_BITS) | chunk.ids[place + (n - 1)])
        for n, sums in self._inside.items():
            found = chunk.inside(n)
            sums[0] += found.different
            sums[1] += found.mean_share * int((chunk.lengths >= n).sum()) if found.total else 0.0
        self._start_chunk()

    def _settle(self) -> None:
        if self._pending:
            self._count_chunk()

    def __len__(self) -> int:
        return self._lengths.total()

    @property
    def counts(self) -> dict[str, float]:
        """`texts`, `tokens`, `duplicate_share`."""
        share = (len(self) - self.different_texts) / len(self) if len(self) else 0.0
        return {"texts": len(self), "tokens": int(self._frequencies.sum()), "duplicate_share": share}

    @property
    def different_texts(self) -> int:
        """Number of texts that differ from every earlier text."""
        self._settle()
        return len(self._digests)

    @property
    def frequencies(self) -> Ints:
        """How often each different token occurs, shape (types,)."""
        self._settle()
        return self._frequencies

    def shorter_than(self, n: int) -> float:
        """Share of the texts with fewer than n tokens."""
        return sum(texts for length, texts in self._lengths.items() if length < n) / len(self) if len(self) else 0.0

    def count_ngrams(self, n: int) -> tuple[int, int]:
        """Number of different n-grams and number of n-grams, of all texts together."""
        self._settle()
        different = len(self._tables[n]) if n > 1 else len(self._numbers)
        return different, self._ngrams(n)

    def inside(self, n: int) -> Inside:
        """n-grams counted text by text, without the share of every text."""
        self._settle()
        different, shares = self._inside[n]
        scored = sum(texts for length, texts in self._lengths.items() if length >= n)
        return Inside(int(different), self._ngrams(n), shares / scored if scored else float("nan"), None)

    @property
    def compressed(self) -> tuple[int, int]:
        """Bytes of the texts joined by a space, and of one gzip of them at level 9."""
        return self._bytes, self._packed + len(self._packer.copy().flush())

    def _ngrams(self, n: int) -> int:
        return sum(max(0, length - n + 1) * texts for length, texts in self._lengths.items())


class Numbering:
    """Numbers for 64-bit keys: the same one for a key that was numbered before, the next free one for a new key.

    Example:
        >>> table = Numbering()
        >>> table.number(np.array([7, 3, 7])).tolist(), table.number(np.array([3, 9])).tolist(), len(table)
        ([1, 0, 1], [0, 2], 3)
    """

    def __init__(self) -> None:
        self._keys, self._numbers = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def number(self, wanted: Ints) -> Ints:
        """The number of every key, shape as `wanted`."""
        keys, places = np.unique(wanted, return_inverse=True)
        at = np.searchsorted(self._keys, keys)
        new = np.ones(len(keys), dtype=bool)
        within = at < len(self._keys)
        new[within] = self._keys[at[within]] != keys[within]
        numbers = np.empty(len(keys), dtype=np.int64)
        numbers[~new] = self._numbers[at[~new]]
        numbers[new] = len(self) + np.arange(int(new.sum()))
        self._keys = np.insert(self._keys, at[new], keys[new])
        self._numbers = np.insert(self._numbers, at[new], numbers[new])
        found: Ints = numbers[places]
        return found
