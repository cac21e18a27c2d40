"""YAML with line numbers: what PyYAML would lose is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from temp_processors.config.yaml_lines import ConfigError, Problem, parse_yaml, read_yaml
from temp_processors.config.yaml_loader import LONG_TEXT

TEXT = """name: demo
policies:
  - name: cold
    temperature: 0.1
  - {name: hot, temperature: 2}
"""


def test_data_equals_plain_yaml_and_every_path_has_its_line() -> None:
    source = parse_yaml(TEXT, "demo.yaml")
    assert source.data == {
        "name": "demo",
        "policies": [{"name": "cold", "temperature": 0.1}, {"name": "hot", "temperature": 2}],
    }
    assert source.lines["policies", 0, "temperature"] == ("demo.yaml", 4)
    assert source.lines["policies", 1] == ("demo.yaml", 5)


def test_a_problem_stands_at_the_nearest_known_line() -> None:
    source = parse_yaml(TEXT, "demo.yaml")
    problem = source.problem(("policies", 0, "kind"), "is required and missing")
    assert str(problem) == "demo.yaml:3: policies.0.kind: is required and missing"


def test_a_repeated_key_is_a_problem_and_the_first_value_stays() -> None:
    source = parse_yaml("a: 1\nb: 2\na: 3\n", "x.yaml")
    assert source.problems == [Problem("x.yaml", 3, ("a",), "is set twice, first in line 1: keep one")]
    assert source.data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("policies.0.temperature=0.7", ("policies", 0, "temperature"), 0.7),
        ("policies.1={name: x, kind: fixed}", ("policies", 1), {"name": "x", "kind": "fixed"}),
        ("extra.deep.field=[1, 2]", ("extra", "deep", "field"), [1, 2]),
        ("name=a=b", ("name",), "a=b"),
    ],
)
def test_set_parses_the_value_as_yaml(assignment: str, path: tuple[str | int, ...], value: object) -> None:
    source = parse_yaml(TEXT, "demo.yaml")
    source.set(assignment)
    found = source.data
    for part in path:
        found = found[part]
    assert found == value
    assert source.problem(path, "no").source == f"--set {assignment}"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "policies.7.name=x",
            "--set policies.7.name=x: policies.7.name: `policies` is a list of 2: 7 is not one of its indices 0 to 1",
        ),
        ("name", "--set name: has to look like path.to.field=value"),
        ("name.first=x", "--set name.first=x: name.first: `name` holds 'demo' and has no field 'first'"),
    ],
)
def test_set_that_points_nowhere_says_where_it_stopped(assignment: str, message: str) -> None:
    source = parse_yaml(TEXT, "demo.yaml")
    source.set(assignment)
    assert list(map(str, source.problems)) == [message]


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: caf\xe9".encode("latin-1"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: {b: 1\nc: 2\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: is not UTF-8 \(byte 9\)"):
        read_yaml(latin)
    with pytest.raises(ConfigError, match=r"broken\.yaml:2: is not valid YAML"):
        read_yaml(broken)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "absent.yaml")


BOMB = "a: &b0 [x, x]\n" + "".join(f"b{level}: &b{level} [*b{level - 1}, *b{level - 1}]\n" for level in range(1, 23))
MERGE_BOMB = "a: &b0 {x: 1}\n" + "".join(
    f"b{level}: &b{level} {{<<: [*b{level - 1}, *b{level - 1}], y: 1}}\n" for level in range(1, 23)
)
IN_QUOTES = "but is none: if it is text, put it in quotes"
NOT_YAML = [
    ("? [a]\n: 1", 1, "a list or mapping is the key of a mapping"),
    ("a: {{ x }}", 1, "text that begins with { or [ has to stand in quotes"),
    ("b: 1\na: \0", 2, "the character U+0000 may stand in double quotes only, as an escape"),
    ("\ud800: 1", 1, "the character U+D800 may stand in double quotes only"),
    ("[" * 500, 1, "more than 32 levels of mappings and lists"),
    ("- " * 500, 1, "more than 32 levels of mappings and lists"),
    ("seed: 2020-13-45", 1, f"'2020-13-45' reads as the YAML type `timestamp`, {IN_QUOTES}"),
    ("seed: 2001-12-14t21:59:43.10-25:00", 1, "reads as the YAML type `timestamp`"),
    ("a: !!bool maybe", 1, f"'maybe' reads as the YAML type `bool`, {IN_QUOTES}"),
    ("a: !!timestamp x", 1, "reads as the YAML type `timestamp`"),
    ("a: !!int ''", 1, "reads as the YAML type `int`"),
    ("a: !!float ''", 1, "reads as the YAML type `float`"),
    ("a: !!binary x", 1, "failed to decode base64 data"),
    ("a: !!set {? [x]}", 1, "unhashable key"),
    ("a: !!python/object:x {}", 1, "could not determine a constructor for the tag"),
    ("seed: " + "1" * 5000, 1, "a number of 5,000 characters; at most 100 are read"),
    ("seed: 0x" + "f" * 5000, 1, "a number of 5,002 characters; at most 100 are read"),
    ("a: " + "1:" * 999 + "1.0", 1, "a number of 2,001 characters; at most 100 are read"),
    ("a: 1\nprompts: &p [a, *p]", 2, "an alias stands inside the value that it repeats"),
    ('name: "\\ud800"', 1, "holds half of a surrogate pair, which is no character"),
    (BOMB, 12, "aliases repeat more than 10,000 keys and values"),
    (MERGE_BOMB, 11, "aliases repeat more than 10,000 keys and values"),
    ("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20, 2, "more than 32 levels"),
    ("a: [" + "1," * 100_000 + "1]", 1, "more than 100,000 keys and values"),
    ("<<: 1", 1, "expected a mapping or list of mappings for merging"),
    ("a: 1\n---\nb: 2", 2, "but found another document"),
    ("a: *x", 1, "found undefined alias 'x'"),
]


@pytest.mark.parametrize(("text", "line", "message"), NOT_YAML, ids=range(len(NOT_YAML)))
def test_what_cannot_be_read_is_one_line_with_its_place(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml:{line}: is not valid YAML: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


MISREAD = [
    ("a: 1\nb: 1:30", 2, "1:30 is 90 to YAML 1.1, in base 60: write 90 if that is meant, or '1:30' as a text"),
    ("a: [1, -1:30:00]", 1, "-1:30:00 is -5400 to YAML 1.1, in base 60"),
    ("a: 1:30.5", 1, "1:30.5 is 90.5 to YAML 1.1, in base 60"),
    ("12:30: a", 1, "12:30 is 750 to YAML 1.1, in base 60"),
    ("a: 010", 1, "010 is 8 to YAML 1.1, in base 8: write 10 or 8, or '010' as a text"),
    ("a: -0_17", 1, "-0_17 is -15 to YAML 1.1, in base 8: write -17 or -15"),
    ("a: !!int 010", 1, "010 is 8 to YAML 1.1"),
]


@pytest.mark.parametrize(("text", "line", "message"), MISREAD)
def test_a_number_that_a_person_reads_otherwise_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml:{line}: {message}")


@pytest.mark.parametrize(("text", "line", "message"), NOT_YAML[:20], ids=range(20))
def test_set_reads_values_with_the_same_parser(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml("a: 1", "x.yaml").set(f"a={text}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml: is not valid YAML: 10,000,001 characters; at most 10,000,000"):
        parse_yaml("#" * 10_000_001, "x.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!set {x, y}\nb: !!omap [k: 1, l: 2]\nc: !!pairs [k: 1, k: 2]",
        "a: 007\nb: 0x1F\nc: 0o17\nd: -00\ne: 1_000\nf: .inf\ng: 1e3\nh: 010.5\ni: '010'\nj: 12:30 o'clock\nk: 0b11",
        "a: 2001-12-14t21:59:43.10-05:00\nb: 2001-12-14\nc: !!binary aGVsbG8=",
        "a: yes\nb: Off\nc: ~\nd: null\ne: !!str 1\nf: !!float 1\n3: a\n2.5: b\ntrue: c\nnull: d",
        "a: |\n  one\n  two\nb: >-\n  one\n  two\n? long key\n: value",
        "base: &b {x: 1, y: {z: 1}}\na: {<<: *b, y: 2}\nb: [*b, *b]",
        "one: &one {x: 1}\ntwo: &two {x: 2, y: 2}\na: {<<: [*one, *two], z: 3}\nb: {<<: {<<: *two}}",
        "%YAML 1.1\n%TAG !t! tag:yaml.org,2002:\n--- !!map\na: !t!str 5\n...",
        "# nothing",
        '"\\x41\\u00e9\\U0001F98A\\N\\_\\L\\P\\e\\0"',
    ],
)
def test_the_whole_of_yaml_is_read_as_the_safe_loader_reads_it(text: str) -> None:
    source = parse_yaml(text, "x.yaml")
    assert (source.data, source.problems) == (yaml.safe_load(text), [])


def test_long_texts_take_another_parser_and_read_the_same() -> None:
    prompts = [f"Prompt {number}: caf\u00e9 \U0001f98a" for number in range(4000)]
    for text in (yaml.safe_dump({"prompts": prompts}), json.dumps({"prompts": prompts})):
        assert len(text) > LONG_TEXT
        source = parse_yaml(text, "x.yaml")
        assert source.data == {"prompts": prompts}
    with pytest.raises(ConfigError, match=r"x\.yaml:4002: is not valid YAML: "):
        parse_yaml("a:\n" + "- The quick brown fox jumps\n" * 4000 + "]", "x.yaml")


def test_a_merge_gives_defaults_and_keys_set_twice_are_still_found() -> None:
    text = "base: &b {x: 1, y: {z: 1}}\na:\n  <<: *b\n  y: 2\n  y: 3\n"
    source = parse_yaml(text, "x.yaml")
    assert source.data["a"] == {"x": 1, "y": 2}
    assert list(map(str, source.problems)) == ["x.yaml:5: a.y: is set twice, first in line 4: keep one"]
    assert source.lines["a", "x"] == ("x.yaml", 1)
    assert source.lines["a", "y"] == ("x.yaml", 4)
    assert ("a", "y", "z") not in source.lines


def test_set_at_one_place_of_an_alias_changes_that_place_alone() -> None:
    source = parse_yaml("a: &a {x: 1}\nb: *a\n", "x.yaml")
    source.set("b.x=2")
    assert source.data == {"a": {"x": 1}, "b": {"x": 2}}


def test_the_escapes_of_json_for_one_character_are_one_character() -> None:
    assert json.dumps("\U0001f600") == '"\\ud83d\\ude00"'
    assert parse_yaml('a: "\\ud83d\\ude00"', "x.yaml").data == {"a": "\U0001f600"}


def test_other_encodings_of_yaml_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        file.write_text("name: caf\u00e9", encoding=encoding)
        assert read_yaml(file).data == {"name": "caf\u00e9"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("policies.\u00b2=1", "`policies` is a list of 2: '\u00b2' is not one of its indices 0 to 1"),
        (f"policies.{'1' * 5000}=1", "is not one of its indices 0 to 1"),
        (".".join("a" * 40) + "=1", "names a field more than 32 levels deep"),
        ("na\udcffme=1", "holds half of a character, which is no text"),
    ],
)
def test_set_with_odd_paths_is_one_line(assignment: str, message: str) -> None:
    source = parse_yaml(TEXT, "demo.yaml")
    source.set(assignment)
    (line,) = map(str, source.problems)
    assert message in line
    assert line.isprintable()


def test_a_problem_is_one_printable_line_whatever_it_quotes() -> None:
    problem = Problem("x.yaml", 1, ("a\x1b[31m",), "is 'one\ntwo'")
    assert str(problem) == "x.yaml:1: a\\x1b[31m: is 'one\\ntwo'"


def test_an_error_tells_twenty_problems_and_how_many_more() -> None:
    lines = str(ConfigError(Problem("x.yaml", line, (), "no") for line in range(1, 101))).splitlines()
    assert (len(lines), lines[19], lines[20]) == (21, "x.yaml:20: no", "and 80 more problems")
