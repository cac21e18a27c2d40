"""Texts of every script: what `auto` counts, values by hand, and the text that stands behind the tokens kept."""

from __future__ import annotations

import builtins
import random
import re
from typing import Any

import pytest
import sacrebleu
from transformers import AutoTokenizer

from temp_processors.fox import FOX_PATH
from temp_processors.metrics import (
    Needs,
    StreamedTexts,
    compression_ratio,
    distinct_n,
    mean_length,
    self_bleu,
    tokenize,
)
from temp_processors.metrics.intervals import difference
from temp_processors.metrics.length import unit_of
from temp_processors.metrics.tokenizers import by_script, share_without_spaces, splitter
from tests.paths import ROOT

LIKE = [f"敏捷的棕色狐狸跳过了{word}。" for word in ("懒狗", "小溪", "篱笆", "石头")]
UNLIKE = ["老猫在温暖的窗台上睡着。", "农夫清晨骑着马去集市卖菜。", "孩子们在河边折了纸船。", "月亮照亮了安静的山谷。"]


def test_chinese_is_counted_in_characters_without_being_told() -> None:
    """13 characters each: 10 that all share, a full stop that all share, and 8 of their own."""
    score = distinct_n(LIKE, 1)
    assert score.value == 19 / 52
    assert "|tok:characters|" in score.signature
    assert self_bleu(LIKE, 4).value > 0.7
    assert self_bleu(UNLIKE, 4).value < 0.03


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("The fox ran.", "whitespace"),
        ("여우가 집으로 달려갔다", "whitespace"),
        ("الثعلب يجري", "whitespace"),
        ("लोमड़ी दौड़ती है", "whitespace"),
        ("лиса бежит, ἀλώπηξ, ბელა", "whitespace"),
        ("🦊🐺 12 !?", "whitespace"),
        ("", "whitespace"),
        ("狐狸跑了", "characters"),
        ("狐が走る", "characters"),
        ("ｷﾂﾈ", "characters"),
        ("หมาวิ่ง", "characters"),
        ("ໝາແລ່ນ", "characters"),
        ("ឆ្កែរត់", "characters"),
        ("ခွေးပြေး", "characters"),
        ("ཁྱི་རྒྱུག", "characters"),
        ("我用 Torch", "characters"),
        ("the word 狐狸 means fox", "whitespace"),
    ],
)
def test_auto_goes_by_the_script(text: str, chosen: str) -> None:
    assert by_script([text]) == chosen
    assert tokenize([text]).tokenizer == chosen


def test_mixed_texts_are_decided_by_their_letters() -> None:
    assert share_without_spaces(["狐 abc 123 。"]) == 0.25
    assert by_script(["狐 abc"]) == "characters"
    assert by_script(["狐 abcd"]) == "whitespace"
    assert by_script(["狐狸跑了", "a fox ran home to the den"]) == "whitespace"


def test_characters_are_those_of_sacrebleu() -> None:
    texts = ["狐狸 跑了。", "a fox", "e\u0301", "👩‍👧", "\u3000x\u00a0y\n"]
    char = sacrebleu.metrics.BLEU(tokenize="char").tokenizer
    for text in texts:
        assert splitter("characters").split(text) == char(text).split()


def test_no_tokenizer_normalises() -> None:
    assert distinct_n(["é", "e\u0301"], 1, tokenizer="whitespace").value == 1.0
    assert splitter("characters").split("e\u0301") == ["e", "\u0301"]


@pytest.mark.parametrize("name", ["13a", "intl"])
def test_sacrebleus_own(name: str) -> None:
    own = sacrebleu.metrics.BLEU(tokenize=name).tokenizer
    text = 'He said: "1,000 foxes" – and ran (away)…'
    assert splitter(name).split(text) == own(text).split()
    assert f"|tok:{name}|" in distinct_n([text], 1, tokenizer=name).signature


def test_without_sacrebleu_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("sacrebleu"):
            raise ModuleNotFoundError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"`tokenizer` '13a' is that of the package sacrebleu: pip install 'temp-proc"):
        distinct_n(["a b"], 1, tokenizer="13a")


def chinese(seed: int, length: int = 40) -> list[str]:
    rng = random.Random(seed)
    return ["".join(chr(0x4E00 + rng.randrange(60)) for _ in range(length)) for _ in range(30)]


@pytest.mark.parametrize("name", ["whitespace", "characters", "fox", "13a", str.split])
def test_what_is_compressed_is_the_text_itself(name: Any) -> None:
    """A text cut after its k-th token gives the ratio of the same text that was never longer."""
    tokenizer = AutoTokenizer.from_pretrained(FOX_PATH) if name == "fox" else name
    texts = chinese(1)
    chosen = splitter(tokenizer)
    first = len(chosen.split(texts[0])) if name == "fox" else 40 if name == "characters" else 1
    longer = [text + ("" if name == "fox" else " 更长的") for text in texts]
    assert all(len(chosen.split(text)) >= first for text in longer)
    cut = compression_ratio(StreamedTexts(Needs(compressed=True), tokenizer=chosen, first=first).add(longer))
    assert [chosen.beginning(text, first) for text in longer[:3]] == texts[:3] or name == "fox"
    if name != "fox":
        assert cut.value == compression_ratio(texts).value


def test_a_model_tokenizer_cuts_at_its_offsets() -> None:
    fox = splitter(AutoTokenizer.from_pretrained(FOX_PATH))
    text = "The quick  brown fox"
    kept = fox.beginning(text, 3)
    assert text.startswith(kept)
    assert fox.split(text)[:3] == fox.split(kept)
    assert fox.beginning(text, 99) == text


def test_tokens_that_are_no_pieces_of_the_text_are_joined() -> None:
    assert splitter("13a").beginning("a &amp; b c", 2) == "a &"
    assert splitter(lambda text: text.lower().split()).beginning("A b C", 2) == "a b"


def test_a_stream_decides_by_its_first_texts() -> None:
    stream = StreamedTexts().add([]).add(iter(LIKE)).add(["a fox"])
    assert stream.tokenizer == "characters"
    assert distinct_n(stream, 1).counts["tokens"] == 56
    assert "|tok:characters|" in distinct_n(stream, 1).signature
    assert StreamedTexts().tokenizer == "whitespace"


def test_a_difference_of_two_tokenizers_is_refused() -> None:
    words = ["the fox ran", "a wolf sat", "an owl flew", "the hen ate"]
    with pytest.raises(ValueError, match="tokens of characters against whitespace: tokenize both groups alike first"):
        difference(distinct_n, LIKE, words)


def test_the_unit_of_a_length() -> None:
    units = [unit_of(mean_length(["狐狸"], tokenizer=name).signature) for name in ("auto", "whitespace", "13a")]
    assert units == ["characters", "words", "tokens"]


def test_the_table_of_languages_in_the_readme_holds() -> None:
    text = (ROOT / "temp_processors" / "metrics" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `(.+)` `(.+)` \| `(\w+)` \| (\d+)/(\d+) = [\d.]+ \| ([\d.]+) \|$", text, re.M)
    assert [row[0] for row in rows] == ["Chinese", "Japanese", "Thai", "Arabic", "Hindi", "emoji"]
    for _, *texts, chosen, different, tokens, length in rows:
        score = distinct_n(texts, 1)
        assert f"|tok:{chosen}|" in score.signature
        assert score.value == int(different) / int(tokens)
        assert mean_length(texts).value == float(length)
