"""The model at work for the explorer: texts, distributions and scores are those of the experiment; visitors do not mix."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from temp_processors.engines.local import LocalEngine
from temp_processors.explore.handlers import Handlers, paced
from temp_processors.explore.live import (
    Text,
    Token,
    built_policies,
    draw_samples,
    next_scores,
    next_token,
    prompt_ids,
    stream,
)
from temp_processors.explore.loading import load
from temp_processors.explore.screen import as_python, screen_config
from tests.explore.explore_page import page_values, screen, start


@pytest.fixture(scope="module")
def fox() -> LocalEngine:
    return load("fox")


def test_the_snippet_prints_the_texts_of_the_page(fox: LocalEngine) -> None:
    data = screen(start("fixed"), start("scheduled"), start("top_p_decay"), prompt="\"A 'fox'\"\n\\ {name} said")
    config = screen_config(data)
    texts = list(stream(fox, config))[-1]
    expected = "".join(f"{name}:{decoded(fox, text)}\n" for name, text in zip("ABC", texts, strict=True))
    done = subprocess.run(
        [sys.executable, "-c", as_python(data, config)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == expected


def decoded(loaded: LocalEngine, text: Text) -> str:
    ids = [token.token_id for token in text.tokens]
    return str(loaded.tokenizer.decode(ids, skip_special_tokens=True))


def test_a_streamed_text_is_sample_0_of_the_experiment(fox: LocalEngine) -> None:
    config = screen_config(screen(start("fixed"), start("dynamic"), start("phase"), max_new_tokens=40))
    texts = list(stream(fox, config))[-1]
    parts = [{name: list(group) for name, group in part.items()} for part in draw_samples(fox, config)]
    assert [decoded(fox, text) for text in texts] == [parts[-1][name][0] for name in "ABC"]
    assert [[len(group) for group in part.values()] for part in parts] == [[4] * 3, [6] * 3]


def test_every_step_hands_over_one_more_token(fox: LocalEngine) -> None:
    config = screen_config(screen(start("fixed"), start("fixed"), max_new_tokens=5))
    assert [[len(t.tokens) for t in texts] for texts in map(list, stream(fox, config))] == [[n, n] for n in range(1, 6)]


def test_a_text_that_ends_stays_ended(fox: LocalEngine) -> None:
    config = screen_config(screen({"kind": "fixed", "temperature": 0}, start("fixed"), max_new_tokens=200))
    texts = list(stream(fox, config))[-1]
    for text in texts:
        assert text.finish == "stop"
        assert [t.token_id for t in text.tokens].count(fox.eos_token_ids[0]) == 1


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 4.0])
def test_the_next_token_is_the_softmax_at_the_temperature(fox: LocalEngine, temperature: float) -> None:
    config = screen_config(screen({"kind": "fixed", "temperature": temperature}))
    ids = prompt_ids(fox, config)
    with torch.inference_mode():
        logits = fox.model(ids).logits[0, -1].double()
    seen = next_token(built_policies(fox, config, ids.shape[-1])[0], ids, next_scores(fox, ids))
    exact = (logits / temperature).softmax(-1) if temperature else torch.eye(len(logits))[logits.argmax()]
    assert seen.tempered[:-1] == pytest.approx(exact[seen.token_ids].tolist(), abs=1e-6)
    assert seen.untempered[:-1] == pytest.approx(logits.softmax(-1)[seen.token_ids].tolist(), abs=1e-6)
    assert sum(seen.tempered) == pytest.approx(1)
    assert seen.temperature == pytest.approx(temperature)


def test_two_visitors_of_one_model_do_not_mix(fox: LocalEngine) -> None:
    act = Handlers(fox, "fox")
    values = page_values("fixed", prompt="Once"), page_values("dynamic", "fixed", prompt="The quick brown fox")
    alone = [list(act.generate("entropy", *value))[-1][1:] for value in values]
    steps = zip(*(act.generate("entropy", *value) for value in values), strict=True)
    assert [step[1:] for step in list(steps)[-1]] == alone


def test_a_fast_model_waits_for_the_browser_and_then_passes_over_steps() -> None:
    def steps() -> Iterator[list[Text]]:
        text = Text()
        for number in range(2000):
            text.tokens.append(Token(number, 1.0, 1.0, 1.0, -1.0, -1.0))
            text.finish = "length" if number == 1999 else ""
            yield [text]

    lengths = [len(text.tokens) for (text,) in paced(steps())]
    assert lengths[:100] == [*range(1, 101)]
    assert len(lengths) < 500
    assert lengths[-1] == 2000


def test_scores_are_of_the_metrics_they_name(fox: LocalEngine) -> None:
    from temp_processors.metrics import distinct_n

    act = Handlers(fox, "fox")
    *_, last = act.measure(*page_values("fixed"))
    texts = list(draw_samples(fox, act.read(page_values("fixed"))[1]))[-1]["A"]
    assert f'data-value="{distinct_n(texts, n=2).value!r}"' in last[1]
    assert 'data-texts="4"' in last[1]


@pytest.mark.parametrize("typed", [{"temperature": None}, {"policy": "["}])
def test_bad_input_is_a_message_everywhere(fox: LocalEngine, typed: dict[str, Any]) -> None:
    act, values = Handlers(fox, "fox"), page_values("truncate_then_temper" if "policy" in typed else "fixed", **typed)
    for message in (
        act.look(None, *values)[1],
        next(act.generate("entropy", *values))[1],
        next(act.measure(*values))[0],
    ):
        assert 'role="alert"' in message
        assert "A: " in message


def test_a_wrong_column_leaves_the_others(fox: LocalEngine) -> None:
    values = page_values("fixed", "dynamic", range=-1)
    _, message, yaml, python, *bars = Handlers(fox, "fox").look(None, *values)
    assert "B: range: has to be a number &gt;= 0, but is -1" in message
    assert [bool(part) for part in (yaml, python, *bars)] == [False, False, True, False, False, False]


def test_a_prompt_too_long_for_the_model_is_a_message(fox: LocalEngine) -> None:
    message = Handlers(fox, "fox").look(None, *page_values("fixed", prompt="fox " * 5000))[1]
    assert "the model&#x27;s context holds" in message


def test_the_prompt_is_read_once(fox: LocalEngine) -> None:
    act = Handlers(fox, "fox")
    seen = act.look(None, *page_values("fixed"))[0]
    assert act.look(seen, *page_values("fixed", temperature=0.3))[0] is seen
    assert act.look(seen, *page_values("fixed", prompt="Once"))[0] is not seen


def test_sampling_values_of_a_checkpoint_are_named_and_not_applied(fox: LocalEngine, tmp_path: Path) -> None:
    fox.model.save_pretrained(tmp_path)
    fox.tokenizer.save_pretrained(tmp_path)
    settings = {**json.loads((tmp_path / "generation_config.json").read_text()), "temperature": 0.6, "do_sample": True}
    (tmp_path / "generation_config.json").write_text(json.dumps({**settings, "repetition_penalty": 1.5}))
    act, plain = Handlers(load(str(tmp_path)), str(tmp_path)), Handlers(fox, "fox")
    assert "sets temperature=0.6, repetition_penalty=1.5: ignored here" in act.about()
    assert act.read(page_values("fixed"))[1].checkpoint_sampling == "neutralise"
    texts, expected = (list(one.generate("entropy", *page_values("fixed")))[-1][0] for one in (act, plain))
    assert [token.token_id for token in texts[0].tokens] == [token.token_id for token in expected[0].tokens]
