"""A real browser for pages on the disk: found or skipped, and everything that goes wrong in it is kept."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"
)


def until(page, condition: str, seconds: float = 60.0) -> None:
    """Poll from outside: the pages' policy forbids the evaluation that playwright's own waiting uses."""
    ends = time.monotonic() + seconds
    while not holds(page, condition):
        assert time.monotonic() < ends, f"never: {condition}"
        page.wait_for_timeout(20)


def holds(page, condition: str) -> bool:
    """Whether it is so now; not while one page gives way to the next."""
    try:
        return bool(page.evaluate(condition))
    except Exception as error:
        if "context was destroyed" in str(error):
            return False
        raise


@contextmanager
def browsing() -> Iterator:
    """A browser, for as long as it is needed."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def lost(request) -> list[str]:
    """What a page asked for in vain; a video that was left for the next page is not lost."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"not loaded: {request.url} {request.failure}"]


@contextmanager
def opened(browser, page_file: Path, **context: object) -> Iterator:
    """A page; leaving it fails when it logged, threw, opened a dialog, or asked for anything off the disk."""
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **context})
    trouble = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: (trouble.append("a dialog opened"), dialog.dismiss()))
    page.on("requestfailed", lambda request: trouble.extend(lost(request)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith("file:") else trouble.append(f"asked for {request.url}")
        ),
    )
    page.goto(page_file.as_uri())
    yield page
    assert trouble == []
    page.close()
