"""The page in a real browser, from a file, with the network cut off and every console message an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from temp_processors.report.page import write_page
from temp_processors.runs.lenient import load_run
from tests.report.report_run import make_run

HOSTILE = '</script><img src=x onerror="window.hacked=1"><!--<script>window.hacked=1</script>'
ODD = ["\u202eright to left שלום", "é\u0301\u0301 \U0001f469\u200d\U0001f467", "zero\u200bwidth"]
ODD += ["control \x07\x1b[31m", "half \ud83d", "a\nb\tc"]

FIRST_PAINT = """() => new Promise(done => new PerformanceObserver(list => done(list.getEntries()[0].startTime))
               .observe({type: "paint", buffered: true}))"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("browser") / "run", samples=3, steps=8)


@pytest.fixture(scope="module")
def address(run_folder: Path) -> str:
    return write_page([run_folder], run_folder / "report.html").as_uri()


def bars(page: Any) -> list[float]:
    return [float(p) for p in page.locator("#bars tr").evaluate_all("rows => rows.map(row => row.dataset.p)")]


def test_every_pane_opens_by_mouse_and_by_key(page: Any, address: str, run_folder: Path) -> None:
    page.goto(address)
    assert page.locator("#pane-scores svg.chart").count() == 2
    page.click("#tab-wall")
    different = {(s["policy"], s["prompt_id"], s["text"]) for s in load_run(run_folder).samples}
    assert page.locator("#pane-wall .card").count() == len(different)
    page.click("#tab-strip")
    assert page.locator("#pane-strip .token").count() == 8
    page.click("#tab-setup")
    assert "SeededSampling" in page.inner_text("#pane-setup") or "sampler stack" in page.inner_text("#pane-setup")
    for key, name in (("1", "scores"), ("2", "wall"), ("3", "strip"), ("4", "setup")):
        page.keyboard.press(key)
        assert page.locator("[role=tabpanel]:visible").get_attribute("id") == f"pane-{name}"
    page.focus("#tab-setup")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-scores"


def test_an_unknown_interval_is_hollow_without_whiskers_and_says_why(
    page: Any, run_folder: Path, tmp_path: Path
) -> None:
    folder = with_texts(run_folder, tmp_path / "refused", [])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for name, row in metrics["policies"].items():
        for score in row.values():
            score |= {"interval": None, "no_interval": "needs 4 prompts", "difference": None}
            if name != "T=0.1":
                said = {"verdict": "not judged", "statement": "not judged: needs 4 prompts"}
                score["difference"] = {"baseline": "T=0.1", "value": 1.5, "ratio": True, "interval": None, **said}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    page.goto(write_page([folder], tmp_path / "page.html").as_uri())
    assert page.locator(".whisker").count() == 0
    assert page.locator(".point").count() == page.locator(".point.hollow").count() == 8
    label = page.locator(".point").first.get_attribute("aria-label")
    assert "no interval: needs 4 prompts" in label
    assert page.locator(".statement").all_inner_texts() == ["not judged: needs 4 prompts"] * 9
    assert "x 1.500" in page.inner_text("#pane-scores table:has(caption)")
    assert page.locator(".remarks li").all_inner_texts()[1:] == ["not judged: needs 4 prompts (all)"]
    assert "hollow: no interval is known" in page.inner_text("#pane-scores")


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_a_point_leads_to_its_samples(page: Any, address: str, way: str) -> None:
    page.goto(address)
    point = page.locator(".point").nth(1)
    if way == "mouse":
        point.click()
    else:
        point.focus()
        page.keyboard.press("Enter")
    assert page.locator(".cell h4 bdi").all_inner_texts() == ["T=0.5", "T=0.5"]


@pytest.mark.parametrize("temperature", [0.1, 0.37, 1.0, 2.5, 5.0])
def test_the_bars_are_the_softmax_of_all_logits(page: Any, address: str, run_folder: Path, temperature: float) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = load_run(run_folder)
    model = AutoModelForCausalLM.from_pretrained(run.config["model"]).eval()
    sample = next(s for s in run.samples if (s["policy"], s["sample_id"]) == ("cooling", 1))
    prompt = AutoTokenizer.from_pretrained(run.config["model"])(sample["prompt"])["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + sample["token_ids"][:4]])).logits[0, -1].double()
    exact = (logits / temperature).softmax(-1)
    page.goto(address + f"#pane=strip&policy=cooling&prompt=0&sample=1&token=4&t={temperature}")
    found = bars(page)
    top = exact[logits.topk(10).indices].tolist()
    assert found[:10] == pytest.approx(top, abs=1e-6)
    assert found[10] == pytest.approx(1 - sum(top), abs=1e-6)


def test_slider_and_number_move_the_bars(page: Any, address: str) -> None:
    page.goto(address + "#pane=strip&policy=cooling&token=2&t=1")
    before = bars(page)
    page.focus("#slider")
    for _ in range(300):
        page.keyboard.press("ArrowRight")
    assert max(bars(page)[:10]) < max(before[:10])
    assert page.evaluate("document.activeElement.id") == "slider"
    page.fill("#temperature", "0.1")
    page.keyboard.press("Enter")
    assert max(bars(page)) > max(before)


def test_the_controls_of_the_temperature_stand_on_one_line(page: Any, address: str) -> None:
    page.set_viewport_size({"width": 900, "height": 900})
    page.goto(f"{address}#pane=strip")
    tops = page.eval_on_selector_all(
        ".whatif .controls > *", "all => all.map(one => one.getBoundingClientRect().bottom)"
    )
    assert max(tops) - min(tops) < 20


def test_tokens_are_walked_by_keys(page: Any, address: str) -> None:
    page.goto(address + "#pane=strip&token=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("[aria-pressed=true]").get_attribute("id") == "token-2"
    first = page.inner_text(".strip")
    page.keyboard.press("+")
    assert "t=" in page.evaluate("new Promise(done => setTimeout(() => done(location.hash), 300))")
    page.keyboard.press("j")
    assert page.inner_text("#pane-strip h3") != first


def test_state_survives_a_reload_and_the_way_back(page: Any, address: str) -> None:
    page.goto(address)
    page.click("#tab-wall")
    page.select_option("#wall-policy", "T=1.0")
    page.locator(".card .link").nth(1).click()
    page.click("#token-3")
    page.fill("#temperature", "0.4")
    page.keyboard.press("Enter")
    before = page.inner_text("#pane-strip"), bars(page)
    page.reload()
    assert (page.inner_text("#pane-strip"), bars(page)) == before
    page.go_back()
    assert page.locator("#pane-wall").is_visible()
    assert page.input_value("#wall-policy") == "T=1.0"


def with_texts(source: Path, to: Path, texts: list[str]) -> Path:
    to.mkdir()
    for file in source.iterdir():
        if file.is_file():
            (to / file.name).write_bytes(file.read_bytes())
    rows = [json.loads(line) for line in (source / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    for row, text in zip(rows, texts, strict=False):
        row["text"] = row["prompt"] = text
    (to / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = (to / "config.yaml").read_text(encoding="utf-8")
    (to / "config.yaml").write_text(config.replace("name: small", f"name: '{HOSTILE}'"), encoding="utf-8")
    return to


def test_hostile_text_is_text(page: Any, run_folder: Path, tmp_path: Path) -> None:
    folder = with_texts(run_folder, tmp_path / "hostile", [HOSTILE] * 3)
    address = write_page([folder], tmp_path / "page.html").as_uri()
    for pane in ("scores", "wall", "strip", "setup"):
        page.goto(f"{address}#pane={pane}")
        page.reload()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
    page.goto(address + "#pane=wall")
    page.reload()
    assert page.locator(".card .text").first.inner_text().strip() == HOSTILE
    assert page.locator("#title").inner_text() == HOSTILE


def test_odd_characters_do_not_move_their_neighbours(page: Any, run_folder: Path, tmp_path: Path) -> None:
    folder = with_texts(run_folder, tmp_path / "odd", ODD)
    page.goto(write_page([folder], tmp_path / "page.html").as_uri() + "#pane=wall")
    lefts = "cards => [...new Set(cards.map(card => Math.round(card.getBoundingClientRect().left)))].length"
    assert page.locator(".card").evaluate_all(lefts) == 4
    ghosts = page.locator(".ghost").all_inner_texts()
    assert {"U+202E", "U+200B", "U+0007", "U+001B", "U+D83D"} <= set(ghosts)
    page.click("#tab-strip")
    heights = "tokens => new Set(tokens.map(token => token.offsetHeight)).size"
    assert page.locator(".token").evaluate_all(heights) == 1


def test_two_runs_side_by_side(page: Any, run_folder: Path, tmp_path: Path) -> None:
    other = with_texts(run_folder, tmp_path / "other", [])
    page.goto(write_page([run_folder, other], tmp_path / "page.html").as_uri())
    assert page.locator("#pane-scores table caption").count() == 3  # scores of each, and the comparison
    assert page.locator(".point").count() == 16
    page.select_option("#run", "1")
    page.reload()
    assert page.input_value("#run") == "1"


@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(browser: Any, address: str, size: tuple[int, int], scheme: str) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    tab = context.new_page()
    for pane in ("scores", "wall", "strip&token=2", "setup"):
        tab.goto(f"{address}#pane={pane}")
        tab.reload()
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0], pane
    context.close()


@pytest.mark.slow
def test_first_paint_is_quick(page: Any, address: str) -> None:
    page.goto(address)
    assert page.evaluate(FIRST_PAINT) < 1000


def many_samples(source: Path, to: Path, text: str = "", prompts: int = 1) -> Path:
    """The run with its samples repeated up to 20,000, each with an end of its own, dealt out to `prompts` prompts."""
    folder = with_texts(source, to, [])
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    with (folder / "samples.jsonl").open("w", encoding="utf-8") as out:
        for number in range(20_000):
            row = rows[number % len(rows)]
            prompt, own = number % prompts, {"sample_id": number // prompts, "text": f"{row['text']} {text} {number}"}
            asked = f"{prompt}: {row['prompt']} " + "and so on " * 20
            json.dump({**row, **own, "prompt_id": prompt, "prompt": asked}, out)
            out.write("\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "prompts"), [("the fox met a duck " * 8, 1), ("<b>\n" * 400, 3), ("a lazy dog", 1999)]
)
def test_twenty_thousand_samples_are_usable(
    page: Any, run_folder: Path, tmp_path: Path, text: str, prompts: int
) -> None:
    written = write_page([many_samples(run_folder, tmp_path / "many", text, prompts)], tmp_path / "page.html")
    assert written.stat().st_size < 15_000_000
    page.goto(written.as_uri())
    assert page.evaluate(FIRST_PAINT) < 1000
    page.set_default_timeout(5000)
    page.click("#tab-wall")
    page.wait_for_selector("#pane-wall .card")
    page.fill("#find", "9")
    assert 0 < page.locator("#pane-wall .card").count() < 1000
    page.click("#tab-strip")
    page.wait_for_selector("#pane-strip .token")
    if len(text) > 1000:
        assert "of 20,000 texts" in page.text_content("#pane-wall")


def test_it_prints_without_its_controls(page: Any, address: str) -> None:
    page.goto(address + "#pane=strip")
    page.emulate_media(media="print")
    assert not page.locator(".controls").first.is_visible()
    assert page.locator(".token").first.is_visible()


def test_a_run_with_nothing_in_it_is_still_a_page(page: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    page.goto(write_page([tmp_path / "empty"], tmp_path / "page.html").as_uri())
    for key in "1234":
        page.keyboard.press(key)
        assert page.locator("[role=tabpanel]:visible").inner_text().strip()
    assert "samples.jsonl is missing" in page.inner_text("#notes")


def test_files_that_hold_something_else_leave_no_pane_blank(page: Any, run_folder: Path, tmp_path: Path) -> None:
    folder = with_texts(run_folder, tmp_path / "else", [])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    first, second, *_ = metrics["policies"].values()
    first["distinct_2"]["value"] = second["perplexity"]["interval"] = "much"
    first["self_bleu_4"] = {"value": None, "interval": [None, "x"], "difference": "none", "signature": 5}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (folder / "stack.json").write_text('{"policies": {"a": null, "b": [null], "c": {"stack": 5}}}', encoding="utf-8")
    page.goto(write_page([folder], folder / "report.html").as_uri())
    assert page.locator("#pane-scores svg.chart").count() == 2
    assert "metrics.json: left out, since they are no scores" in page.inner_text("#notes")
    for name in ("wall", "strip", "setup"):
        page.click(f"#tab-{name}")
        assert page.inner_text(f"#pane-{name}").strip()
    assert page.get_by_role("alert").inner_text().startswith("This part of the run cannot be shown")
