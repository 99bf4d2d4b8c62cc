"""The built documentation site as a reader meets it: in Chromium, wide and narrow, and searched.

`make docs` builds it and runs these tests.
"""

from collections.abc import AsyncIterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from chrome import Watch, browsing
from website.build import SITE, folder_of_version
from website.pages import ADDRESS
from website.versions import LATEST

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.site,
    pytest.mark.timeout(900),  # other programs may keep the machine busy
]

PATIENCE = 120_000  # milliseconds, for a page

# What people search for, and the page that answers: it is among the first three.
SEARCHES = {
    "token refresh": "faq/",
    "silent refresh": "faq/",
    "双token": "zh/sessions/",
    "无感刷新": "zh/frontend/",
    "临期刷新": "zh/start/",
    "滑动过期": "zh/faq/",
    "并发只刷新一次": "zh/faq/",
    "token_expired": "reference/refusals/",
    "grace_seconds": "guides/configuration/",
    "LINQI_RENEWAL__BUFFER_SECONDS": "guides/configuration/",
    "linqi_refresh_reuse_total": "reference/metrics/",
    "X-Refresh-Outcome": "guides/transports/",
    "revocations do not arrive": "operate/",
}
# One page of each kind: with pictures, with a wide table, from docstrings, in Chinese.
KINDS = ["", "compare/", "reference/api/renewal/", "zh/", "explanation/near_expiry/"]
RESULTS = """() => {
  const found = [], walk = (root) => root.querySelectorAll('*').forEach((element) => {
    if (element.shadowRoot) walk(element.shadowRoot)
    if (element.tagName === 'A' && element.href.includes('?h=')) found.push(element.href)
  })
  walk(document)
  return found
}"""

# The field of the search has the focus.
IS_READY = """() => {
  let element = document.activeElement
  while (element?.shadowRoot) element = element.shadowRoot.activeElement
  return element?.tagName === 'INPUT'
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a log line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write nothing."""


class SiteServer(ThreadingHTTPServer):
    """A server whose clients leave pages before they are complete, as browsers do."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Write nothing: a page that lacks something fails its own test."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[str]:
    """Serve the site that was built on loopback, and return the URL of this version's home page."""
    folder = folder_of_version()
    if not folder.is_dir():
        pytest.fail("no site in build/site: make docs builds it")
    server = SiteServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{folder.name}/"
    server.shutdown()
    server.server_close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Return a running Chromium."""
    async with browsing() as started:
        yield started


async def context_of(browser: Browser, **options: Any) -> BrowserContext:
    """Return an empty profile that waits for a page for as long as it takes."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context


async def test_no_page_is_wider_than_a_telephone(site: str, browser: Browser) -> None:
    """Every page fits 400 px: what is wider scrolls inside its own box."""
    context = await context_of(browser, viewport={"width": 400, "height": 900})
    page = await context.new_page()
    empty = '{"config": {"lang": ["en"], "separator": " "}, "items": []}'
    await page.route("**/search.json", lambda route: route.fulfill(body=empty))  # 1 MB a page
    home = SITE / site.split("/")[-2]
    wide = []
    for path in sorted(home.rglob("index.html")):
        await page.goto(f"{site}{path.relative_to(home).parent}/", wait_until="domcontentloaded")
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path.relative_to(home))
    await context.close()
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
async def test_nothing_is_loaded_from_another_host(
    site: str, browser: Browser, width: int, scheme: str
) -> None:
    """A browser gets all that a page of each kind needs from the site, without an error."""
    context = await context_of(
        browser,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    watch = Watch(context)
    page = await context.new_page()
    for path in KINDS:
        await page.goto(site + path, wait_until="networkidle")
    await context.close()
    assert watch.faults == []
    origin = site.split("/")[2]
    assert {url for url in watch.urls if url.split("/")[2] != origin} == set()
    assert [(url, status) for url, status in watch.statuses if status >= 400] == []


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Return an empty page of a laptop's width."""
    context = await context_of(browser, viewport={"width": 1280, "height": 900})
    yield await context.new_page()
    await context.close()


@pytest.mark.parametrize("phrase", SEARCHES)
async def test_the_search_finds_what_people_look_for(site: str, page: Page, phrase: str) -> None:
    """The words of both languages lead to the page that answers, also inside Chinese sentences."""
    await page.goto(site)
    await page.locator("[for=__search], .md-search__button").locator("visible=true").first.click()
    await page.wait_for_function(IS_READY)
    await page.keyboard.insert_text(phrase)  # at once: no results of half a phrase
    await page.wait_for_function(f"({RESULTS})().length > 0")
    found = [url.split("?")[0].removeprefix(site) for url in await page.evaluate(RESULTS)]
    assert SEARCHES[phrase] in found[:3]


async def test_the_sections_are_tabs_at_1200_px(site: str, page: Page) -> None:
    """A laptop's window shows all sections in one row, the repository and no menu button."""
    await page.set_viewport_size({"width": 1200, "height": 900})
    await page.goto(site)
    tabs = page.locator(".md-tabs__link")
    await expect(tabs).to_have_count(9)
    await expect(tabs.last).to_be_in_viewport()
    await expect(page.locator(".md-header [for=__drawer]")).to_be_hidden()
    await expect(page.locator(".md-header .md-source")).to_be_visible()


async def test_the_menu_of_languages_leads_to_the_translation(site: str, page: Page) -> None:
    """A reader of one page comes to the same page in the other language, and back."""
    await page.goto(f"{site}choose/")
    known = page.locator("link[rel~=alternate][hreflang]")
    assert {await link.get_attribute("href") for link in await known.all()} == {
        f"{ADDRESS}{LATEST}/choose/",  # search engines take whole addresses, of both languages
        f"{ADDRESS}{LATEST}/zh/choose/",
    }
    menu = page.locator(".md-header .md-select", has=page.locator("[hreflang=zh]"))
    await menu.hover()
    await menu.get_by_text("简体中文").click()
    await expect(page).to_have_url(f"{site}zh/choose/", timeout=PATIENCE)
    await expect(page.locator("html")).to_have_attribute("lang", "zh", timeout=PATIENCE)
    await menu.hover()
    await menu.get_by_text("English").click()
    await expect(page).to_have_url(f"{site}choose/", timeout=PATIENCE)


async def test_the_menu_of_versions_names_this_one(site: str, page: Page) -> None:
    """The version in the address is the one that the header shows."""
    await page.goto(site)
    current = page.locator(".md-version__current")
    await expect(current).to_have_text(site.split("/")[-2], timeout=PATIENCE)
