"""Where a text leaves the grammar: exact, and what the model's own probabilities say of the score of `fox_task`."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.fox.grammar import begins_a_tale, departure, log_probability, sample_story, tell


class _Completer:
    """A teller that follows a text as far as it goes, and then chooses at random."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.text, self.rng, self.told = text, rng, ""

    def say(self, text: str) -> None:
        self.told += text

    def pick(self, options: Mapping[str, float]) -> str:
        rest = self.text[len(self.told) :]
        fitting = [choice for choice in options if choice.startswith(rest) or rest.startswith(choice)] or list(options)
        choice = self.rng.choice(fitting)
        self.told += choice
        return choice


def completed(text: str, rng: random.Random) -> str:
    completer = _Completer(text, rng)
    tell(completer)
    return completer.told


def test_every_beginning_of_a_tale_is_one() -> None:
    rng = random.Random(0)
    for _ in range(30):
        tale = sample_story(rng).text
        assert [departure(tale[:end]) for end in range(len(tale) + 1)] == [None] * (len(tale) + 1)
        assert departure(tale + " ") == len(tale)


def test_a_changed_beginning_is_one_where_a_tale_goes_on_from_it_and_only_there() -> None:
    rng = random.Random(1)
    outcomes = set()
    for _ in range(3000):
        tale = sample_story(rng).text
        place = rng.randrange(len(tale))
        text = tale[:place] + rng.choice("abdefghilmnoprstuw .,TM")
        whole = completed(text, rng)
        log_probability(whole)
        outcomes.add(departure(text) is None)
        assert (departure(text) is None) == whole.startswith(text), text
    assert outcomes == {True, False}


def test_departure_is_at_the_piece_that_does_not_fit() -> None:
    assert departure("The quick brown fox jumped over the lazy cat") == len("The quick brown fox")
    assert departure("Once upon a time") == 0
    assert departure("") is None
    assert begins_a_tale(" jumped", {"prompt": "The quick brown fox"})
    assert not begins_a_tale("jumped", {"prompt": "The quick brown fox"})


class _Leaving:
    """The exact chance that the next token leaves the grammar, from the model's distribution at a temperature."""

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
        self.model = AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()
        self.special = set(self.tokenizer.all_special_ids)
        texts = {token: self.tokenizer.decode([token]) for token in range(self.model.config.vocab_size)}
        self.trie: dict[str, Any] = {}
        for token, text in texts.items():
            here = self.trie
            for letter in text if token not in self.special else "":
                here = here.setdefault(letter, {})
            here.setdefault("tokens", []).append(token)
        self._staying: dict[str, list[int]] = {}

    def staying(self, text: str) -> list[int]:
        """The tokens after which `text` still is the beginning of a tale; special ones add no text."""
        if text not in self._staying:
            self._staying[text] = list(self._walk(self.trie, text))
        return self._staying[text]

    def _walk(self, node: dict[str, Any], text: str) -> Any:
        yield from node.get("tokens", ())
        for letter, below in node.items():
            if letter != "tokens" and departure(text + letter) is None:
                yield from self._walk(below, text + letter)

    @torch.inference_mode()
    def chances(self, prompt: str, token_ids: list[int], temperature: float) -> list[float]:
        """For every step that begins inside of the grammar, the chance to leave it with that step."""
        begin = self.tokenizer(prompt)["input_ids"]
        scores = self.model(torch.tensor([begin + token_ids])).logits[0].double() / temperature
        found = []
        for step in range(len(token_ids) + 1):
            text = self.tokenizer.decode(begin + token_ids[:step], skip_special_tokens=True)
            if departure(text) is not None:
                break
            found.append(1 - float(scores[len(begin) + step - 1].softmax(-1)[self.staying(text)].sum()))
        return found


@pytest.mark.slow
def test_the_score_falls_as_the_exact_chance_of_leaving_the_grammar_says(tmp_path: Path) -> None:
    """Left or not, minus the summed chances of leaving at the prefixes that were drawn, is a martingale: its mean is 0."""
    settings = ["samples_per_prompt=4", "traces=false", "metrics=[mean_length]"]
    run = run_experiment(load_config("fox_task", settings, out=tmp_path / "run"))
    config, leaving = load_config("fox_task"), _Leaving()
    temperatures = {named.name: named.policy.model_dump()["temperature"] for named in config.policies}
    steps = config.max_new_tokens
    expected: dict[str, dict[int, list[float]]] = {name: {} for name in temperatures}
    surprise: dict[str, dict[int, list[float]]] = {name: {} for name in temperatures}
    for sample in run.samples:
        drawn = steps if sample.finish_reason == "length" else len(sample.token_ids) + 1
        chances = leaving.chances(sample.prompt, sample.token_ids, temperatures[sample.policy])[:drawn]
        left = departure(sample.prompt + sample.text) is not None
        expected[sample.policy].setdefault(sample.prompt_id, []).append(sum(chances))
        surprise[sample.policy].setdefault(sample.prompt_id, []).append(left - sum(chances))
    held = json.loads((run.path / "metrics.json").read_text())["task"]["scorers"]["begins_a_tale"]["policies"]
    exact = {name: 1 - np.mean([np.mean(values) for values in rows.values()]) for name, rows in expected.items()}
    for name in temperatures:
        low, high = held[name]["mean_score"]["interval"]
        assert low - 1e-9 <= exact[name] <= high + 1e-9, (name, exact[name], held[name]["mean_score"])
        by_prompt = np.array([np.mean(values) for values in surprise[name].values()])
        error = by_prompt.std(ddof=1) / np.sqrt(len(by_prompt))
        assert abs(by_prompt.mean()) <= 3.5 * error + 0.01, (name, by_prompt.mean(), error)
    assert exact["T=0.1"] > exact["T=1.0"] > exact["T=1.5"]
    assert exact["T=0.1"] > 0.95
    assert exact["T=1.5"] < 0.6
