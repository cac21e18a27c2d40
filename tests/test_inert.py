"""Names and texts from anywhere are text and nothing more, wherever they are shown."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from temp_processors import inert
from temp_processors.cli.console import InertConsole
from temp_processors.comparison.spreadsheet import as_csv
from temp_processors.report.documents import latex, markdown
from temp_processors.report.figures import save
from temp_processors.report.plots import frontier_figure, metric_figure
from temp_processors.report.table import show_scores

HOSTILE = [
    "\x1b[31mred\x1b]0;title\x07",
    "\x9b31m",
    "base\n\\input{/etc/passwd}",
    "[/INST]",
    "[red]hot",
    ":fox_face:",
    "*star",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "![](http://evil.example/x.png)",
    "a\u202eb",
    "\ud800",
    "$x^2$",
    "_baseline",
    "a\tb\rc",
]


def scores(name: str) -> dict[str, Any]:
    score = {"value": 0.5, "signature": "s", "interval": [0.4, 0.6], "counts": {"texts": 4, "tokens": 9}}
    change = {"baseline": name, "value": 0.1, "interval": None, "p_value_holm": None, "statement": "not judged: x"}
    own = {"distinct_2": {**score, "difference": None}, "perplexity": {**score, "difference": None}}
    return {name: own, "b": {metric: {**row, "difference": change} for metric, row in own.items()}}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_terminal_shows_the_name_and_acts_on_nothing(name: str) -> None:
    out = io.StringIO()
    show_scores(scores(name), InertConsole(file=out, width=200), [name])
    shown = out.getvalue()
    assert inert.HIDDEN.search(shown) is None
    assert "\r" not in shown
    assert shown.count(inert.one_line(name)) >= 2


def test_what_a_console_is_given_by_others_is_inert_too() -> None:
    out = io.StringIO()
    console = InertConsole(file=out, width=60)
    table = Table("[red]head\x1b[0m")
    table.add_row(Text("a\x1b[31mb"))
    for thing in ("[/INST] :fox: \x1b]0;t\x07", Text("x\x1b[2J"), table):
        console.print(thing)
    assert "\x1b" not in out.getvalue()
    assert "[/INST] :fox: \\x1b]0;t" in out.getvalue()
    assert "[red]head" in out.getvalue()


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\\r=1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ("T=0.1", "T=0.1"),
        ("cold", "cold"),
        (-0.5, -0.5),
        ("", ""),
    ],
)
def test_no_cell_of_a_table_is_a_formula(cell: object, written: object) -> None:
    assert inert.csv_cell(cell) == written


@pytest.mark.parametrize("name", HOSTILE)
def test_a_csv_has_one_row_a_policy_whatever_its_name(name: str) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(scores(name)))))
    assert [len(row) for row in rows] == [17, 17, 17]
    assert not rows[1][0].startswith(inert.FORMULA)
    as_csv(scores(name)).encode()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        (r"a\|b", r"a\\\|b"),
        ("<b>", r"\<b>"),
        ("![x](y)", r"!\[x](y)"),
        ("`x`", r"\`x\`"),
        ("_x_", r"\_x\_"),
        ("top_p", "top_p"),
        ("&lt;", r"\&lt;"),
        ("a&b", "a&b"),
        ("# x", r"\# x"),
        ("- x", r"\- x"),
        ("a\n# b", r"a\\n# b"),
        ("~~x~~", r"\~\~x\~\~"),
        ("T=0.1", "T=0.1"),
    ],
)
def test_markdown(text: str, written: str) -> None:
    assert inert.markdown(text) == written


@given(st.text())
def test_markdown_of_any_text_is_one_line_with_every_character(text: str) -> None:
    written = inert.markdown(text)
    assert "\n" not in written
    assert unescape(re.sub(r"\\([\\`*\[<|~$_&+=#>-])", r"\1", written)) == unescape(inert.one_line(text))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("base\n\\input{/etc/passwd}", r"base\textbackslash{}n\textbackslash{}input\{/etc/passwd\}"),
        ("50% & $x_1$", r"50\% \& \$x\_1\$"),
        ("[2cm]", "{[}2cm{]}"),
        ("*x", "{*}x"),
        ("^^M~#", r"\textasciicircum{}\textasciicircum{}M\textasciitilde{}\#"),
        ("-0.5", "-0.5"),
    ],
)
def test_latex(text: str, written: str) -> None:
    assert inert.latex(text) == written


@pytest.mark.parametrize("name", HOSTILE)
def test_documents_have_one_row_a_policy_whatever_its_name(name: str) -> None:
    assert sum(line.startswith("| ") for line in markdown(scores(name)).splitlines()) == 5
    rows = [line for line in latex(scores(name)).splitlines() if line.endswith(r"\\")]
    assert len(rows) == 5
    assert not any(row.startswith(("[", "*")) for row in rows)
    (markdown(scores(name)) + latex(scores(name))).encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_pictures_are_whole_whatever_the_name(tmp_path: Path, name: str) -> None:
    for figure in (metric_figure(scores(name), "distinct_2"), frontier_figure(scores(name))):
        ET.parse(save(figure, tmp_path / "x.svg"))
    texts = [text.get_text() for text in frontier_figure(scores(name)).legends[0].get_texts()]
    assert texts[0].replace("\n", "") == inert.figure_text(name)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("distinct_2", True),
        ("of-another-version", True),
        ("../../ESCAPED", False),
        ("/etc/x", False),
        ("a/b", False),
        ("a\\b", False),
        ("C:x", False),
        ("..", False),
        (".hidden", False),
        ("a\0", False),
        ("a\n", False),
        ("", False),
        ("a" * 81, False),
    ],
)
def test_what_can_be_the_name_of_a_file(name: str, plain: bool) -> None:
    assert inert.is_plain_name(name) is plain
