"""YAML with line numbers: what PyYAML would lose is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from temp_processors.config.yaml_lines import ConfigError, Problem, parse_yaml, read_yaml

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
