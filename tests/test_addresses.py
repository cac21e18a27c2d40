"""Addresses of servers: what is one, and that no key in one is shown."""

from __future__ import annotations

import copy
import pickle

import pytest

from temp_processors.addresses import Address, redacted
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.config.yaml_lines import ConfigError

AT_A_SERVER = ["engine=vllm"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("''", "has to begin with http:// or https:// and a host, such as http://localhost:8000/v1, but is ''"),
        ("localhost:8000/v1", "has to begin with http:// or https://"),
        ("ftp://host/v1", "has to begin with http:// or https://"),
        ("http://", "and a host"),
        ("http:///v1", "and a host"),
        ("http://host:99999", "Port out of range"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("'http://a b'", "without spaces"),
        ("http://host/v1#top", "without #"),
        ("5", "has to be a text, but is 5"),
        ("hunter2:hunter2@host/v1?key=hunter2", "but is '***@host/v1?key=***'"),
        ("http://a:hunter2@host:99999/v1?a=1&key=hunter2", "but is 'http://***@host:99999/v1?a=***&key=***'"),
    ],
)
def test_what_is_no_address_is_refused_without_its_keys(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_config("fox", [*AT_A_SERVER, f"base_url={text}"])
    assert message in str(told.value)
    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_mistyped_field_does_not_show_its_key() -> None:
    with pytest.raises(ConfigError) as told:
        load_config("fox", [*AT_A_SERVER, "base_urls=https://me:hunter2@host/v1"])
    assert "base_urls: not a field of the configuration (did you mean 'base_url'?)" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_an_address_shows_and_writes_no_key_and_keeps_it() -> None:
    full = "https://me:hunter2@host:8000/v1?key=hunter2"
    config = load_config("fox", [*AT_A_SERVER, f"base_url={full}"])
    shown = [repr(config), str(config), config.to_yaml(), config.model_dump_json(), str(config.model_dump())]
    assert not [text for text in shown if "hunter2" in text]
    assert "base_url: https://***@host:8000/v1?key=***" in config.to_yaml()
    for same in (config, copy.deepcopy(config), config.model_copy(update={"out": "x"})):
        assert same.base_url is not None
        assert same.base_url.full == full
    assert pickle.loads(pickle.dumps(config.base_url)).full == full
    again = ExperimentConfig.model_validate(dict(config))
    assert again.base_url is config.base_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("https://token@host/", "https://***@host/"),
        ("https://a:b@c@host/", "https://***@host/"),
        ("https://a:b/c@host/", "https://***@host/"),
        ("a:b/c@host/v1", "***@host/v1"),
        ("https://a:b'c@host/?k=a'b#c:d", "https://***@host/?k=***"),
        ("say http://a:b@h/?x=1 and https://c:d@i/?y=2", "say http://***@h/?x=*** and https://***@i/?y=***"),
        ("fox.yaml:3: prompts.0: has to be text", "fox.yaml:3: prompts.0: has to be text"),
    ],
)
def test_redacted(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_the_text_of_an_address_is_redacted() -> None:
    assert f"{Address.parse('http://a:hunter2@h')}" == "http://***@h"
