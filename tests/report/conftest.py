"""A real browser for pages: from a file, with the network cut off and every console message an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import launched


@pytest.fixture(scope="module")  # no longer: the loop of playwright would run under the tests after it
def browser() -> Iterator[Any]:
    with launched() as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab that fails the test for any request beyond the file, any console message, any script error."""
    context = browser.new_context()
    tab, seen = context.new_page(), []
    tab.on("console", lambda message: seen.append(message.text))
    tab.on("pageerror", lambda error: seen.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith("file:") else seen.append(request.url))
    yield tab
    context.close()
    assert seen == []
