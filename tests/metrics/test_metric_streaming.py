"""Texts that are read once score as texts in memory, however they are cut into chunks."""

from __future__ import annotations

import gzip
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.metrics import (
    CATALOGUE,
    STREAMED,
    Needs,
    StreamedTexts,
    compression_ratio,
    distinct_n,
    metric_by_name,
    self_bleu,
    stream_needs,
    tokenize,
)
from temp_processors.metrics.intervals import difference_of, measure, units_of
from tests.small_parts import small_parts

TEXT = st.lists(st.sampled_from(["a", "b", "c", "é"]), max_size=8).map(" ".join)
TEXTS = st.lists(TEXT, max_size=9)


@given(texts=TEXTS, first=st.none() | st.integers(1, 5), chunk=st.sampled_from([1, 4, 17, 1 << 20]))
@settings(max_examples=120, deadline=None)
def test_streamed_equals_in_memory(texts: list[str], first: int | None, chunk: int) -> None:
    memory = tokenize(texts) if first is None else tokenize(texts).first(first)
    with small_parts(chunk):
        stream = StreamedTexts(stream_needs(STREAMED), first=first)
        for text in texts:
            stream.add([text])
        for name in STREAMED:
            if CATALOGUE[name].takes == "strings":
                continue
            found, expected = metric_by_name(name)(stream), metric_by_name(name)(memory)
            assert found.value == pytest.approx(expected.value, abs=1e-12, nan_ok=True), name
            assert (found.signature, found.reason) == (expected.signature, expected.reason)
            assert found.counts == pytest.approx(expected.counts, abs=1e-15)


@given(
    texts=st.lists(TEXT, min_size=8, max_size=20),
    others=st.data(),
    prompts=st.integers(1, 6),
    chunk=st.sampled_from([3, 40]),
)
@settings(max_examples=5, deadline=None)
def test_intervals_of_a_stream_equal_those_in_memory(texts: list[str], others: Any, prompts: int, chunk: int) -> None:
    groups = [texts, others.draw(st.lists(TEXT, min_size=len(texts), max_size=len(texts)))]
    clusters = [number * prompts // len(texts) for number in range(len(texts))]
    units = units_of(texts, clusters)
    with small_parts(chunk):
        streams = [StreamedTexts(stream_needs(STREAMED)).add(group) for group in groups]
        for name in STREAMED:
            record = CATALOGUE[name]
            if record.influence is None:
                continue
            found = [measure(record, stream, units) for stream in streams]
            expected = [measure(record, tokenize(group), clusters) for group in groups]
            for own, other in zip(found, expected, strict=True):
                assert own.refusal == other.refusal, name
                assert (own.interval().low, own.interval().high) == pytest.approx(
                    (other.interval().low, other.interval().high), rel=1e-9, abs=1e-12, nan_ok=True
                )
            change, wanted = difference_of(found[0], found[1]), difference_of(expected[0], expected[1])
            assert (change.p_value, change.interval.low, change.smallest) == pytest.approx(
                (wanted.p_value, wanted.interval.low, wanted.smallest), rel=1e-6, abs=1e-9, nan_ok=True
            )


def test_compression_of_a_stream_is_one_gzip() -> None:
    rng = random.Random(0)
    texts = [" ".join(f"w{int(1 / (1 - rng.random()))}" for _ in range(60)) for _ in range(4000)]
    stream = StreamedTexts(Needs(compressed=True))
    for text in texts:
        stream.add([text])
    plain = " ".join(texts).encode()
    assert compression_ratio(stream).value == len(plain) / len(gzip.compress(plain, 9, mtime=0))
    assert compression_ratio(stream).value == compression_ratio(texts).value  # asking twice changes nothing
    cut = StreamedTexts(Needs(compressed=True), first=3).add(texts)
    short = " ".join(" ".join(text.split()[:3]) for text in texts).encode()
    assert compression_ratio(cut).value == len(short) / len(gzip.compress(short, 9, mtime=0))
    assert "|len:first:3|" in compression_ratio(cut).signature


def test_many_chunks_of_many_words() -> None:
    rng = random.Random(1)
    texts = [" ".join(f"w{int(1 / (1 - rng.random()))}" for _ in range(30)) for _ in range(3000)]
    with small_parts(1000):
        stream = StreamedTexts().add(texts[:1000])
        early = distinct_n(stream, 3).value  # asked for in between
        stream.add(texts[1000:])
        assert early == distinct_n(texts[:1000], 3).value
        assert [stream.count_ngrams(n) for n in (1, 2, 3, 4)] == [tokenize(texts).count_ngrams(n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(("texts", "message"), [("one string", "is one string: write"), (["a", None], r"`texts\[1\]`")])
def test_a_stream_refuses_what_is_no_list_of_texts(texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        StreamedTexts(Needs()).add(texts)


def test_what_a_stream_cannot_score_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'self_bleu_4' needs all texts at once; metrics of a stream: distinct_1, "):
        stream_needs(["distinct_2", "self_bleu_4"])
    with pytest.raises(ValueError, match="did you mean 'distinct_2'"):
        stream_needs(["distict_2"])
    with pytest.raises(TypeError, match="needs all texts at once, but `texts` is StreamedTexts"):
        self_bleu(StreamedTexts(Needs()))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`first` has to be an integer >= 1 or None, but is 0"):
        StreamedTexts(Needs(), first=0)
