"""What the page answers at a glance, in a real browser: one load of one page for many questions."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from temp_processors.report.page import named_apart, write_page
from temp_processors.report.page_data import page_data
from temp_processors.report.pairs import pairs_of_run, runs_compared
from temp_processors.runs.lenient import load_run
from temp_processors.runs.trend import trend_lines
from temp_processors.runs.verdict import answer_lines
from tests.report.report_run import make_run

SAMPLES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which one policy has written one text four times, and one text is Chinese."""
    made = make_run(tmp_path_factory.mktemp("answer") / "run", samples=SAMPLES, steps=8)
    rows = [json.loads(line) for line in (made / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    cell = [row for row in rows if (row["policy"], row["prompt_id"]) == ("T=1.0", 0)]
    for row in cell[:4]:
        row["text"] = "the fox ran home to the old mill"
    cell[4]["text"] = "the fox ran home to sleep"
    cell[5]["text"] = "北京的秋天很美"
    cell[6]["text"] = "上海的秋天很美"
    (made / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def tab(browser: Any, folder: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened, seen = context.new_page(), []
    opened.on("console", lambda message: seen.append(message.text))
    opened.on("pageerror", lambda error: seen.append(str(error)))
    opened.goto(write_page([folder], folder / "report.html").as_uri())
    yield opened
    context.close()
    assert seen == []


def saved(tab: Any, label: str) -> bytes:
    with tab.expect_download() as found:
        tab.get_by_label(label).first.click()
    return Path(found.value.path()).read_bytes()


def test_the_first_screen_holds_question_verdict_pictures_and_pairs(tab: Any, folder: Path) -> None:
    tab.click("#tab-scores")
    run = load_run(folder)
    assert "2 prompts, 4 policies, 8 texts of each (64 texts)" in tab.inner_text(".question")
    assert tab.locator(".answer p").all_inner_texts() == [
        *trend_lines(run.metrics, run.temperatures),
        *answer_lines(run.metrics),
    ]
    assert tab.locator("#pane-scores svg.chart").count() == 2
    names = tab.locator("figure:has-text('perplexity') .label").all_text_contents()
    assert set(names) >= {"T=1.0", "cooling"}
    assert tab.locator(".line.pareto").count() == 1
    boxes = tab.locator(".label").evaluate_all(
        "labels => labels.map(l => { const b = l.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]; })"
    )
    assert not [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    held = {tuple(cell[:2]): cell[2] for cell in pairs_of_run(run)[0]["distinct_2"]}
    assert len(held) == 6
    assert tab.locator(".pairs td:not(.same)").count() == 12
    counted = [tab.locator(f".pairs td.{name}").count() for name in ("higher", "lower")]
    assert counted[0] == counted[1] == sum(verdict in ("higher", "lower") for verdict in held.values())


def test_perplexity_is_drawn_on_a_logarithmic_axis(tab: Any) -> None:
    tab.click("#tab-scores")
    tab.select_option("#metric", "perplexity")
    assert "perplexity (log scale)" in tab.locator("#pane-scores figure").first.text_content()
    tab.select_option("#metric", "distinct_2")


def test_tables_and_pictures_are_saved(tab: Any, folder: Path) -> None:
    tab.click("#tab-scores")
    rows = list(csv.reader(io.StringIO(saved(tab, "Save scores of small as CSV").decode("utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == ["T=0.1", "T=0.5", "T=1.0", "cooling"]
    pairs = list(csv.reader(io.StringIO(saved(tab, "Save all pairs by distinct-2 as CSV").decode("utf-8-sig"))))
    assert sorted(pairs[0][1:]) == sorted(row[0] for row in pairs[1:])
    drawing = saved(tab, "as SVG").decode()
    assert drawing.startswith("<svg")
    assert "var(" not in drawing
    assert saved(tab, "as PNG").startswith(b"\x89PNG")


def test_equal_texts_stand_once_and_shared_words_are_dimmed(tab: Any) -> None:
    tab.click("#tab-wall")
    tab.select_option("#wall-policy", "T=1.0")
    tab.select_option("#wall-prompt", "0")
    assert tab.locator(".cell h4 small").inner_text().strip() == "8 texts, 5 different"
    assert tab.locator(".copies").all_inner_texts() == ["4 times the same"]
    assert tab.locator(".card").first.locator(".shared").all_inner_texts() == ["the fox ran home to "]
    chinese = tab.locator(".card", has_text="北京").locator(".shared")
    assert chinese.all_inner_texts() == ["的秋天很美"]
    tab.select_option("#wall-n", "0")
    assert tab.locator(".shared").count() == 0
    tab.select_option("#wall-n", "4")


def test_the_search_counts_and_marks(tab: Any) -> None:
    tab.click("#tab-wall")
    tab.select_option("#wall-policy", "T=1.0")
    tab.select_option("#wall-prompt", "0")
    tab.fill("#find", "THE")
    assert tab.locator("mark").all_inner_texts()[:3] == ["the", "the", "the"]
    assert tab.inner_text("#hits").startswith("in ")
    tab.fill("#find", "fox ran home")
    assert tab.inner_text("#hits") == "in 5 of 8 texts, 5 places"
    assert tab.locator(".card").count() == 2
    tab.fill("#find", "a.*(")
    assert tab.inner_text("#hits") == "in 0 of 8 texts, 0 places"
    tab.fill("#find", "")


@pytest.mark.parametrize(
    ("order", "column", "sign"), [("likely", 5, -1), ("long", 7, -1), ("uncertain", 8, -1), ("certain", 8, 1)]
)
def test_samples_are_ordered(tab: Any, folder: Path, order: str, column: int, sign: int) -> None:
    tab.click("#tab-wall")
    tab.select_option("#wall-policy", "cooling")
    tab.select_option("#wall-prompt", "1")
    tab.select_option("#wall-order", order)
    data = page_data(load_run(folder))
    own = [s for s in data["samples"] if (data["policies"][s[0]], s[1]) == ("cooling", 1)]
    place = {s[2]: s[column] for s in own}
    shown = [int(text[1:].split()[0]) for text in tab.locator(".foot > :first-child").all_inner_texts()]
    values = [sign * place[number] for number in shown]
    assert values == sorted(values)
    tab.select_option("#wall-order", "drawn")


def test_the_tokens_open_at_the_most_uncertain_one(tab: Any, folder: Path) -> None:
    tab.click("#tab-strip")
    trace = load_run(folder).traces["cooling", 0, 0]
    number = next(
        option
        for option in tab.locator("#sample option").evaluate_all(
            "o => o.map(x => [x.value, x.parentNode.label, x.text])"
        )
        if option[1] == "cooling"
    )
    assert "prompt 0, #0: " in number[2]
    tab.select_option("#sample", number[0])
    best = max(range(8), key=lambda i: trace.entropy[i] or -math.inf)
    assert tab.locator("[aria-pressed=true]").get_attribute("id") == f"token-{best}"
    bars = tab.locator("#bars tr").evaluate_all(
        "rows => rows.map(row => [row.dataset.p, row.querySelector('.outline').dataset.p])"
    )
    assert all(float(now) == float(own) for now, own in bars)
    tab.fill("#temperature", "0.2")
    tab.keyboard.press("Enter")
    moved = tab.locator("#bars tr").evaluate_all(
        "rows => rows.map(row => [row.dataset.p, row.querySelector('.outline').dataset.p])"
    )
    assert [own for _, own in moved] == [own for _, own in bars]
    assert moved[0][0] != moved[0][1]


def test_two_runs_of_one_name_are_told_apart_and_compared(page: Any, folder: Path, tmp_path: Path) -> None:
    runs = named_apart([load_run(folder), load_run(folder)])
    assert runs[0].name != runs[1].name
    compared = runs_compared(runs)
    assert compared is not None
    assert [(row[0], row[1]) for row in compared["rows"]] == [(1, "T=0.1"), (1, "T=0.5"), (1, "T=1.0"), (1, "cooling")]
    assert all(row[3]["distinct_2"]["statement"] for row in compared["rows"])
    page.goto(write_page([folder, folder], tmp_path / "page.html").as_uri())
    assert "The runs compared" in page.inner_text("#pane-scores")
    assert page.locator("#pane-scores tbody tr:has-text('against')").count() == 0
    assert len(set(page.locator("#run option").all_inner_texts())) == 2


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, folder: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = write_page([folder], folder / "report.html")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    for pane in ("scores", "wall", "strip", "setup"):
        opened.goto(page.as_uri() + f"#pane={pane}")
        opened.reload()
        found = axe.Axe().run(opened).response["violations"]
        serious = [
            (pane, v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")
        ]
        assert serious == []
    context.close()


def test_pairs_that_would_take_long_are_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("temp_processors.report.pairs.MOST_WORK", 1)
    found, reason = pairs_of_run(load_run(folder))
    assert found == {}
    assert reason.startswith("6 pairs of so many texts take long: ")
