"""The app in a real Chromium, behind the real nginx: what tabs share, and what XSS cannot do."""

import contextlib
import os
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright
from servers import PATIENCE, serving

expect.set_options(timeout=PATIENCE * 1000)
IN_PAGE = "async () => { const { session } = await import('/app.js'); "


@pytest.fixture(scope="module")
def site():
    """Serve the app."""
    if shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin") is None:
        pytest.fail("nginx is not installed (Debian: apt install nginx-light)")
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    """Start the browser, which names no sandbox because containers have none."""
    names = (os.environ.get("LINQI_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("no Chromium on PATH; LINQI_CHROMIUM names one elsewhere")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-timer-throttling"]
        browser = playwright.chromium.launch(
            executable_path=found, args=flags, timeout=PATIENCE * 1000
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def profile(chromium, site):
    """Open an empty profile for a site."""
    made = chromium.new_context(ignore_https_errors=True, base_url=site.url)
    made.set_default_timeout(PATIENCE * 1000)
    yield made
    made.close()


@pytest.fixture
def context(site, chromium):
    """Open an empty profile."""
    with profile(chromium, site) as made:
        yield made


@pytest.fixture
def tab(context):
    """Open the app and sign alice in."""
    return signed_in(context)


def signed_in(context):
    """Open the app and sign alice in."""
    page = context.new_page()
    page.goto("/")
    page.fill("[name=username]", "alice")
    page.fill("[name=password]", "correct horse")
    page.click("#login button")
    expect(page.locator("#user")).to_have_text("alice")
    return page


def open_another(context):
    """Open a second tab, which is signed in at once."""
    page = context.new_page()
    page.goto("/")
    expect(page.locator("#user")).to_have_text("alice")
    return page


def refreshes(site):
    """Return how often a refresh succeeded, by nginx's log."""
    return site.count("POST /auth/refresh")


def wait_for_expiry(page):
    """Wait until the page's access token has expired."""
    page.evaluate(
        IN_PAGE + "while (session.state.left > 0) await new Promise((go) => setTimeout(go, 50)) }"
    )


def test_two_tabs_refresh_once(chromium):
    """The token expires; five requests of each tab cause one refresh, and none fails.

    The tokens live for 7 to 8 s. Where other programs keep the machine so busy that the next one
    is over before all are answered, the tabs try again.
    """
    send = IN_PAGE + (
        "window.sent = Promise.all([1, 2, 3, 4, 5].map(() => session.fetch('/api/notes')))"
        "; return null }"
    )
    got = "async () => (await window.sent).map((response) => response.status)"
    short = {"LIFETIME_SECONDS": "8", "BUFFER_SECONDS": "1", "WHOLE_SECOND_TIMES": "false"}
    environ = {f"LINQI_RENEWAL__{name}": value for name, value in short.items()}
    seen = []
    with serving(**environ) as site, profile(chromium, site) as context:
        tabs = [signed_in(context), open_another(context)]
        while len(seen) < 5 and seen[-1:] != [(1, [200] * 10)]:
            wait_for_expiry(tabs[0])
            before = refreshes(site)
            for tab in tabs:
                tab.evaluate(send)
            statuses = [status for tab in tabs for status in tab.evaluate(got)]
            seen.append((refreshes(site) - before, statuses))
    assert seen[-1] == (1, [200] * 10), seen


def test_a_reload_stays_signed_in(site, tab):
    """The access token is gone with the page; the cookie brings another."""
    before = refreshes(site)
    tab.reload()
    expect(tab.locator("#user")).to_have_text("alice")
    assert refreshes(site) - before == 1


def test_signing_out_in_one_tab_ends_the_other(context, tab):
    """The other tab shows the sign-in form, and a reload does not bring the session back."""
    other = open_another(context)
    tab.click("#out")
    expect(other.locator("#login")).to_be_visible()
    expect(other.locator("#app")).to_be_hidden()
    other.reload()
    expect(other.locator("#login")).to_be_visible()


def wait_for_more(page, count):
    """Wait until more than `count` further answers were seen."""
    page.evaluate(
        """async (count) => {
          const before = seen.length
          while (seen.length <= before + count) await new Promise((go) => setTimeout(go, 50))
        }""",
        count,
    )


def test_nobody_notices_the_restart_of_a_worker(site, tab):
    """The page goes on through refreshes while one worker is away."""
    before = refreshes(site)
    tab.evaluate(
        IN_PAGE
        + """window.seen = []
          const look = () => session.fetch('/api/notes')
            .then(({ status }) => seen.push(status), (error) => seen.push(`${error}`))
          window.timers = [setInterval(look, 50), setInterval(() => session.refresh(), 150)]
        }"""
    )
    wait_for_more(tab, 0)
    site.workers[0].stop()
    wait_for_more(tab, 10)
    site.workers[0].start()
    assert {*tab.evaluate("() => { timers.forEach(clearInterval); return seen }")} == {200}
    assert refreshes(site) > before + 1


def test_the_event_stream_is_not_buffered(tab):
    """The seconds count up on the page as they are sent."""
    expect(tab.locator("#seconds")).to_have_text(re.compile(r"^([2-9]|\d\d+)$"))


def test_xss_cannot_read_the_refresh_token(context, tab):
    """A script in the page finds it in no place, and no answer contains it."""
    cookie = next(each for each in context.cookies() if each["name"] == "__Host-refresh")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    found = tab.evaluate(
        """async () => {
          const places = [document.cookie, JSON.stringify(localStorage),
            JSON.stringify(sessionStorage), JSON.stringify(await indexedDB.databases())]
          for (const headers of [{ 'X-Token-Delivery': 'cookie' }, {}]) {
            const response = await fetch('/auth/refresh', { method: 'POST', headers })
            places.push(await response.text(), JSON.stringify([...response.headers]))
          }
          return places.join()
        }"""
    )
    assert "access_token" in found  # the script is the user while the page is open
    assert cookie["value"] not in found
    current = next(each for each in context.cookies() if each["name"] == "__Host-refresh")
    assert current["value"] != cookie["value"]
    assert current["value"] not in found


def test_an_injected_script_does_not_run(tab):
    """The policy of nginx: neither an inline script nor one of another origin."""
    ran = tab.evaluate(
        """async () => {
          document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = 1">')
          const script = document.createElement('script')
          script.textContent = 'window.ran = 1'
          document.body.append(script)
          await new Promise((done) => setTimeout(done, 300))
          return window.ran ?? 'nothing ran'
        }"""
    )
    assert ran == "nothing ran"


def test_a_page_of_another_site_gets_nothing(site, chromium, context, tab):
    """Its request carries no cookie, it cannot read the answer, and no token is spent."""
    before = refreshes(site)
    other = chromium.new_context(ignore_https_errors=True, bypass_csp=True)  # its own policy
    other.add_cookies(context.cookies())
    page = other.new_page()
    page.goto(site.url.replace("localhost", "127.0.0.1"))
    answer = page.evaluate(
        """async (url) => {
          const init = { method: 'POST', credentials: 'include', mode: 'no-cors' }
          return (await fetch(`${url}/auth/refresh`, init)).type
        }""",
        site.url,
    )
    other.close()
    assert answer == "opaque"
    assert refreshes(site) == before
    tab.reload()
    expect(tab.locator("#user")).to_have_text("alice")
