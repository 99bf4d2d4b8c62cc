"""A real Chromium for tests, driven by playwright; `browsers` has the other engines."""

import base64
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    # Tabs of a test are never in front, and are to run all the same.
    *("--disable-background-timer-throttling", "--disable-renderer-backgrounding"),
    "--disable-backgrounding-occluded-windows",
)


def executable() -> str:
    """Return the path of Chromium; skip the test if there is none, except in CI."""
    names = (os.environ.get("LINQI_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on PATH; .ci/run installs Debian's package chromium")
        pytest.skip("no Chromium on PATH; LINQI_CHROMIUM names one elsewhere")
    return found


@contextlib.asynccontextmanager
async def browsing(*arguments: str) -> AsyncIterator[Browser]:
    """Start a browser with an empty profile; `arguments` are added to its command line."""
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[*_ARGUMENTS, *arguments],
            timeout=120_000,  # other programs may keep the machine busy
        )
        try:
            yield browser
        finally:
            await browser.close()


class Watch:
    """The requests and responses of a browser context, and the errors of its pages."""

    def __init__(self, context: BrowserContext) -> None:
        self.posts: list[str] = []
        self.urls: list[str] = []
        self.statuses: list[tuple[str, int]] = []
        self.refusals: list[str] = []
        self.faults: list[str] = []
        context.on("request", self._sent)
        context.on("response", self._answered)
        context.on("weberror", lambda e: self.faults.append(str(e.error)))
        context.on("console", self._said)

    def _sent(self, request: Any) -> None:
        self.urls.append(request.url)
        if request.method == "POST":
            self.posts.append(request.url)

    def _answered(self, response: Any) -> None:
        self.statuses.append((response.url, response.status))
        if response.status == 401 and not _has_expired_on_its_way(response.request):
            self.refusals.append(response.url)

    def _said(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def count(self, path: str) -> int:
        """Return the number of POST requests to `path`."""
        return sum(url.endswith(path) for url in self.posts)

    def refused(self, path: str) -> int:
        """Return the number of requests to `path` answered 401.

        Those are left out whose token was sent live and expired before the answer, as on a machine
        that gives the server no core for longer than the buffer.
        """
        return sum(url.endswith(path) for url in self.refusals)


def _has_expired_on_its_way(request: Any) -> bool:
    """Return whether the token of a request was live when it was sent, and not at the answer."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        return False
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    sent = request.timing["startTime"]
    return bool(sent < 1_000 * claims["exp"] <= sent + request.timing["responseStart"])


async def run(page: Page, script: str, argument: Any = None) -> Any:
    """Run the body of an async function of ``argument`` in the page."""
    return await page.evaluate(f"async (argument) => {{ {script} }}", argument)


_MISPLACED = """([width, selector]) => {
  const shown = [...document.querySelectorAll(selector)]
    .filter((each) => each.getBoundingClientRect().width);
  const outside = shown.filter((each) => {
    const box = each.getBoundingClientRect();
    return box.left < 0 || box.right > width;
  });
  const small = shown.filter((each) => each.tagName === 'text'
    && each.getBoundingClientRect().height < 9);
  const hidden = [...document.querySelectorAll('td:not(:empty)')]
    .filter((each) => !each.getBoundingClientRect().width);
  return [outside.length, small.length, hidden.length, shown.length];
}"""


async def misplaced(page: Page, width: int, selector: str) -> list[int]:
    """Return how much of a page is outside `width`, too small, hidden, and looked at."""
    found: list[int] = await page.evaluate(_MISPLACED, [width, selector])
    return found
