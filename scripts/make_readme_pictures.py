"""Make the pictures of the README from a finished run: the page in a browser, the frontier, the textbook softmax.

    python scripts/make_readme_pictures.py runs/fox
    python scripts/make_readme_pictures.py runs/fox --browser /usr/bin/chromium

The page's picture needs playwright and a Chromium; without --browser only the other two are made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from temp_processors.report.figures import save
from temp_processors.report.page import write_page
from temp_processors.report.plots import run_figures
from temp_processors.report.softmax import TEXTBOOK_LOGITS, TEXTBOOK_TEMPERATURES, softmax_figure, softmax_numbers
from temp_processors.runs.lenient import load_run

SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu"]
VIEW = "#pane=strip&policy=T%3D1.0&token=11"


def main(
    run: Path,
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path(__file__).parent / "pictures",
    browser: Annotated[Path | None, typer.Option(help="Chromium for the picture of the page.")] = None,
) -> None:
    """Write softmax.png, frontier.png and, with a browser, report.png."""
    out.mkdir(parents=True, exist_ok=True)
    numbers = [softmax_numbers(TEXTBOOK_LOGITS, t, target=3) for t in TEXTBOOK_TEMPERATURES]
    save(softmax_figure(numbers, TEXTBOOK_LOGITS, target=3), out / "softmax.png")
    save(run_figures(load_run(run))["frontier_distinct_2"], out / "frontier.png")
    if browser is not None:
        photograph(write_page([run], run / "report.html"), browser, out / "report.png")


def photograph(page: Path, browser: Path, picture: Path) -> None:
    """A picture of the page's token strip."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(browser), args=SWITCHES)
        tab = opened.new_page(viewport={"width": 900, "height": 960})
        tab.goto(page.resolve().as_uri() + VIEW)
        tab.screenshot(path=str(picture))
        opened.close()


if __name__ == "__main__":
    typer.run(main)
