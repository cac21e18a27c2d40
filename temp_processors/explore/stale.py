"""Results of other settings than those on the page are marked: the browser compares, so that the server keeps nothing for it.

The scripts get the values of all settings, as the handlers do. Each result remembers those it was made with; the page's body has the
class `tp-stale-texts` or `tp-stale-scores` while they differ, and `style.css` shows the line and dims what it is about.
"""

from __future__ import annotations

from typing import Literal

from temp_processors.explore.handlers import SETTINGS

Result = Literal["texts", "scores"]
LINES: dict[Result, str] = {
    "texts": "The texts below are of other settings: Generate draws them anew.",
    "scores": "The scores below are of other settings: Measure diversity takes them anew.",
}
# texts do not depend on how many samples are measured
KEY = f"const key = (what, v) => JSON.stringify(what === 'texts' ? v.toSpliced({SETTINGS.index('samples')}, 1) : v);"
COMPARED = (
    f"(...v) => {{ {KEY} for (const [what, made] of Object.entries(window.tpMade ?? {{}})) "
    "document.body.classList.toggle(`tp-stale-${what}`, made !== key(what, v)); }"
)
"""Run after every change of a setting."""


def made(result: Result) -> str:
    """The script of the button that makes a result: it remembers the settings."""
    return (
        f"(...v) => {{ {KEY} (window.tpMade ??= {{}}).{result} = key('{result}', v); "
        f"document.body.classList.remove('tp-stale-{result}'); }}"
    )


def made_if(result: Result) -> str:
    """As `made`, where the first value, a switch, is on."""
    return f"(on, ...v) => {{ if (on) ({made(result)})(...v); }}"


def line(result: Result) -> str:
    """What says that a result is of other settings, as markup."""
    return f'<p class="tp-message" role="status">{LINES[result]}</p>'
