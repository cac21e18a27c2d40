"""The live page in a real browser, served by the real command; no request of page or server leaves this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from temp_processors.config.loading import load_config
from temp_processors.explore.forms import policy_kinds
from temp_processors.explore.live import draw_samples
from temp_processors.explore.loading import load
from tests.browser import launched
from tests.paths import ROOT

HOSTILE = '</script><img src=x onerror="window.hacked=1">${window.hacked=1}{{value}}<!--'

# The command, with every connection that its process opens or looks up written to a file.
SERVER = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def note(event, values):
    if event in ("socket.connect", "socket.getaddrinfo"):
        print(event, values[1:] if event.endswith("connect") else values, file=log)
sys.addaudithook(note)
from temp_processors.cli import main
main()
"""


@pytest.fixture(scope="module")
def connections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explore") / "connections.txt"


@pytest.fixture(scope="module")
def address(connections: Path) -> Iterator[str]:
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed: pip install -e '.[explore]'")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONUNBUFFERED"] = "1"
    command = [sys.executable, "-c", SERVER, str(connections), "explore"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        said = server.stdout.readline()
        found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/ \(Ctrl-C ends it\)\n", said)
        assert found, said
        yield found[1]
        server.terminate()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Any]:
    with launched() as opened:
        yield opened


@pytest.fixture
def visitor(browser: Any, address: str) -> Iterator[Any]:
    """Opens the page as somebody new; any request elsewhere, console error or script error fails the test."""
    contexts, seen = [], []

    def open_page(*, live: bool = False, width: int = 1300, dark: bool = False) -> Any:
        scheme = "dark" if dark else "light"
        contexts.append(browser.new_context(viewport={"width": width, "height": 1400}, color_scheme=scheme))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: seen.append(str(error)))
        tab.on("request", lambda request: None if request.url.startswith(address) else seen.append(request.url))
        tab.goto(address)
        tab.wait_for_selector("#B-bars .tp-bars")
        tab.wait_for_selector("#B-text .tp-strip[aria-busy=false]")
        if not live:
            tab.get_by_label("draw as I type").uncheck()
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


def bars(page: Any, column: str) -> list[float]:
    return [
        float(p) for p in page.locator(f"#{column}-bars tr[data-p]").evaluate_all("rows => rows.map(r => r.dataset.p)")
    ]


def changed(page: Any, column: str, before: list[float]) -> None:
    """Wait until the bars of a column are others than before."""
    read = "[...document.querySelectorAll(`#${column}-bars tr[data-p]`)].map(row => Number(row.dataset.p))"
    script = f"([column, before]) => {{ const now = {read}; return now.length && `${{now}}` !== `${{before}}`; }}"
    page.wait_for_function(script, arg=[column, before])


def set_temperature(page: Any, column: str, value: str) -> None:
    before = bars(page, column)
    field = page.locator(f"#{column}-fixed-temperature input[type=number]")
    field.fill(value)
    field.press("Tab")
    changed(page, column, before)


def generate(page: Any) -> None:
    page.evaluate("document.querySelectorAll('.tp-strip').forEach(strip => strip.classList.add('earlier'))")
    page.click("#generate")
    page.wait_for_selector("#A-text .tp-strip[aria-busy=false]:not(.earlier)")


def written(page: Any, language: str) -> str:
    """The code on the page; the editor draws only lines in view, so its own copy button is asked."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(f"#{language} button[title=Copy], #{language} button[aria-label=Copy]").first.click()
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_the_distribution_follows_the_slider_before_anything_is_drawn(visitor: Any) -> None:
    page = visitor()
    untempered = bars(page, "B")
    assert sum(untempered) == pytest.approx(1)
    set_temperature(page, "B", "2")
    hot = bars(page, "B")
    weights = [p**0.5 for p in untempered[:-1]]
    ratios = [(a / hot[0]) / (b / weights[0]) for a, b in zip(hot[:-1], weights, strict=True)]
    assert ratios == pytest.approx([1.0] * len(ratios), rel=1e-3)
    page.locator("#B-fixed-temperature .tp-fine").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("p => Number(document.querySelector('#B-bars tr[data-p]')?.dataset.p) < p", arg=hot[0])
    assert page.inner_text("#B-bars .tp-title") == "B: T = 2.01"
    assert page.locator("#stale-texts .tp-message").is_visible()


def test_texts_follow_what_is_typed_and_a_token_is_a_place_to_go_on_from(visitor: Any) -> None:
    page = visitor(live=True)
    prompt, first = page.input_value("#prompt textarea"), page.inner_text("#A-text .tp-text")
    token = page.locator("#A-text .tp-token").nth(1)
    token.click()
    assert page.inner_text("#A-text .tp-facts").splitlines()[:2] == [
        token.inner_text(),
        token.get_attribute("title").splitlines()[1],
    ]
    page.get_by_role("button", name="go on from here").click()
    raw = "".join(page.locator("#A-text .tp-token").nth(place).get_attribute("data-raw") for place in (0, 1))
    assert page.input_value("#prompt textarea") == prompt + raw
    page.wait_for_function("text => document.querySelector('#A-text .tp-text').innerText !== text", arg=first)
    page.wait_for_selector("#A-text .tp-strip[aria-busy=false]")
    page.locator("#stale-texts .tp-message").wait_for(state="hidden")


@pytest.mark.slow
def test_a_preset_fills_its_column(visitor: Any) -> None:
    page = visitor()
    page.locator("#B-preset input").click()
    page.get_by_role("option", name="llama3", exact=True).click()
    page.wait_for_selector("#B-bars :text('B: generate, temperature 0.6, top_k 0, top_p 0.9')")


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 900, 390])
def test_everybody_can_use_the_page(visitor: Any, width: int, dark: bool) -> None:
    """Nothing is wider than the window, and axe-core finds nothing serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visitor(width=width, dark=dark)
    page.click("#measure")
    page.wait_for_selector(".tp-scores[data-texts='16']")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    assert [
        (wrong["id"], wrong["nodes"][0]["html"]) for wrong in found if wrong["impact"] in ("serious", "critical")
    ] == []


def test_a_prompt_is_typed_and_its_text_appears(visitor: Any, tmp_path: Path) -> None:
    page = visitor()
    before = bars(page, "A")
    page.fill("#prompt textarea", "Once upon a time")
    changed(page, "A", before)
    set_temperature(page, "A", "0.8")
    generate(page)
    assert page.locator("#A-text .tp-token").count() == 32
    (tmp_path / "page.yaml").write_text(written(page, "yaml"), encoding="utf-8")
    config = load_config(tmp_path / "page.yaml")
    assert (config.prompts, config.policies[0].policy.temperature) == (["Once upon a time"], 0.8)
    *_, texts = draw_samples(load("fox"), config)
    assert page.inner_text("#A-text .tp-text").strip() == texts["A"][0].strip()
    assert page.inner_text("#B-text .tp-text").strip() == texts["B"][0].strip()


@pytest.mark.slow
def test_tokens_arrive_one_after_the_other(visitor: Any) -> None:
    page = visitor()
    page.evaluate(
        """() => { window.counts = new Set(); new MutationObserver(() =>
           window.counts.add(document.querySelectorAll("#A-text .tp-token").length)
           ).observe(document.getElementById("A-text"), {childList: true, subtree: true}); }"""
    )
    generate(page)
    page.wait_for_timeout(300)
    assert len(page.evaluate("[...window.counts]")) > 8


@pytest.mark.slow
def test_results_of_other_settings_are_marked(visitor: Any) -> None:
    page = visitor()
    stale = page.locator("#stale-texts .tp-message")
    assert not stale.is_visible()
    generate(page)
    assert not stale.is_visible()
    set_temperature(page, "A", "1.7")
    stale.wait_for(state="visible")
    assert not page.locator("#stale-scores .tp-message").is_visible()
    set_temperature(page, "A", "0.5")
    stale.wait_for(state="hidden")
    page.fill("#seed input", "3")
    page.locator("#seed input").press("Tab")
    stale.wait_for(state="visible")
    generate(page)
    stale.wait_for(state="hidden")


@pytest.mark.slow
def test_the_strip_is_coloured_again_without_drawing(visitor: Any) -> None:
    page = visitor()
    generate(page)
    text, paint = page.inner_text("#B-text .tp-strip"), page.locator("#B-text .tp-token").first.get_attribute("style")
    page.get_by_label("probability").check()
    page.wait_for_selector("#legend :text('probability, untempered: 0')")
    assert page.inner_text("#B-text .tp-strip") == text
    assert page.locator("#B-text .tp-token").first.get_attribute("style") != paint


@pytest.mark.slow
def test_a_policy_is_chosen_and_its_parameters_appear(visitor: Any) -> None:
    page = visitor()
    before = bars(page, "B")
    page.locator("#B-kind input").click()
    page.get_by_role("option", name="entropy_target", exact=True).click()
    page.wait_for_selector("#B-entropy_target-entropy input")
    assert page.locator("#B-fixed-temperature").count() == 0
    changed(page, "B", before)
    assert "entropy 1 nats" in page.inner_text("#B-bars")
    field = page.locator("#B-entropy_target-entropy input")
    field.fill("-3")
    field.press("Tab")
    page.wait_for_selector("#problem [role=alert]")
    assert page.inner_text("#problem").strip().startswith("B: entropy: has to be a number >= 0, but is -3")


@pytest.mark.slow
def test_every_kind_begins_with_parameters_that_are_right(visitor: Any) -> None:
    page = visitor()
    for kind in policy_kinds():
        box = page.locator("#B-kind input")
        box.fill(kind)
        page.get_by_role("option", name=kind, exact=True).click()  # Enter would take the first that contains the name
        done = "kind => /^- name: B\\n +kind: (\\w+)$/m.exec(document.getElementById('yaml').innerText)?.[1] === kind"
        page.wait_for_function(f"kind => ({done})(kind) || document.querySelector('#problem [role=alert]')", arg=kind)
        assert page.locator("#problem [role=alert]").all_inner_texts() == [], kind


@pytest.mark.slow
def test_four_policies_stand_side_by_side(visitor: Any) -> None:
    page = visitor()
    page.get_by_label("4", exact=True).check()
    page.wait_for_selector("#D-bars .tp-bars")
    generate(page)
    page.wait_for_selector("#D-text .tp-strip[aria-busy=false]")
    tops = {round(page.locator(f"#column-{name}").bounding_box()["y"]) for name in "ABCD"}
    assert len(tops) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 1300


@pytest.mark.slow
def test_diversity_is_measured_while_samples_are_drawn(visitor: Any) -> None:
    page = visitor()
    page.click("#measure")
    page.wait_for_selector(".tp-scores[data-texts='16']")
    cold, hot = (
        [float(v) for v in row.locator("td").evaluate_all("cells => cells.map(c => c.dataset.value)")]
        for row in page.locator(".tp-scores tbody tr").all()
    )
    assert cold[1] < hot[1]
    assert cold[2] > hot[2]
    assert page.locator("#A-samples li").count() == 8


@pytest.mark.slow
def test_two_visitors_at_once_do_not_mix(visitor: Any, tmp_path: Path) -> None:
    pages = visitor(), visitor()
    prompts = "Once upon a time", "The lazy dog"
    for page, prompt, temperature in zip(pages, prompts, ("0.9", "1.3"), strict=True):
        before = bars(page, "A")
        page.fill("#prompt textarea", prompt)
        changed(page, "A", before)
        set_temperature(page, "A", temperature)
        page.locator("#longest input[type=number]").fill("40")
    for page in pages:
        page.click("#generate")
    fox = load("fox")
    for page, prompt in zip(pages, prompts, strict=True):
        page.wait_for_selector("#A-text .tp-strip[aria-busy=false]")
        page.wait_for_selector("#B-text .tp-strip[aria-busy=false]")
        (tmp_path / "page.yaml").write_text(written(page, "yaml"), encoding="utf-8")
        config = load_config(tmp_path / "page.yaml", ["samples_per_prompt=1"])
        assert config.prompts == [prompt]
        assert config.max_new_tokens == 40
        *_, texts = draw_samples(fox, config)
        assert [page.inner_text(f"#{name}-text .tp-text").strip() for name in "AB"] == [
            t[0].strip() for t in texts.values()
        ]


def test_what_is_typed_stays_text(visitor: Any) -> None:
    page = visitor()
    before = bars(page, "A")
    page.fill("#prompt textarea", HOSTILE)
    changed(page, "A", before)
    generate(page)
    page.fill("#prompt textarea", HOSTILE * 400)
    page.wait_for_selector("#problem [role=alert]")
    assert page.evaluate("window.hacked") is None
    assert page.locator("gradio-app img").count() == 0
    assert "<img src=x" in page.inner_text("#problem") or "context holds" in page.inner_text("#problem")


def test_the_server_called_nobody(address: str, browser: Any, connections: Path) -> None:
    lines = connections.read_text(encoding="utf-8").splitlines()
    elsewhere = [line for line in lines if "127.0.0.1" not in line and "localhost" not in line]
    assert elsewhere == []
    assert lines
