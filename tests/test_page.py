"""The page of ``linqi serve`` in real Chromium: tabs, outages, sleep, sign-out, theft, TLS."""

import asyncio
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from playwright.async_api import BrowserContext, Page, expect

from chrome import Watch, run
from served import Server
from signed_in import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

expect.set_options(timeout=20_000)

LIFETIME, BUFFER = 6.0, 2.0
JOIN = """
const { createSession } = await import('/linqi.js')
window.session = createSession({
  name: 'test', refreshUrl: '/auth/refresh', loginUrl: '/auth/login', logoutUrl: '/auth/logout',
  logoutAllUrl: '/auth/logout-all',
})
window.tokens = new Set()
window.ends = []
window.by = []
for (const kind of ['signedin', 'renewed']) session.addEventListener(kind, ({ detail }) => {
  tokens.add(detail.tokenId); by.push(detail.by)
})
session.addEventListener('signedout', ({ detail }) => ends.push(detail.reason))
"""
COOKIES = {"__Host-refresh", "__Host-refresh-device"}
"""The refresh token, and the device token by which a throttled sign-in is recognised."""
SIGN_IN = JOIN + f"await session.signIn({{ username: 'alice', password: '{PASSWORD}' }})"
USE = """
const statuses = []
for (let i = 0; i < argument.count; i += 1) {
  statuses.push(await session.fetch('/auth/me').then((a) => a.status, (error) => error.name))
  await new Promise((done) => setTimeout(done, argument.pause))
}
return statuses
"""


def serving(data: Path, *more: str) -> Server:
    """Start a server whose access tokens live 2 to 6 s."""
    lives = ("--lifetime-seconds", str(LIFETIME), "--buffer-seconds", str(BUFFER))
    return Server(data, "--log-level", "warning", *lives, *more).start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server whose access tokens live 2 to 6 s."""
    running = serving(tmp_path_factory.mktemp("page") / "data")
    yield running
    running.stop()


async def tab(context: BrowserContext, url: str, script: str = "") -> Page:
    """Open a blank page of the server and run `script` in it."""
    page = await context.new_page()
    await page.goto(f"{url}/healthz")
    if script:
        await run(page, script)
    return page


async def tabs_of(context: BrowserContext, url: str, count: int = 3) -> list[Page]:
    """Open tabs with one session: the first signs in, the others find the session."""
    pages = [await tab(context, url, SIGN_IN)]
    return [*pages, *[await tab(context, url, JOIN) for _ in range(count - 1)]]


async def states(pages: list[Page]) -> list[dict[str, Any]]:
    """Return the state of each tab's session."""
    return [await run(page, "return session.state") for page in pages]


async def distinct_tokens(pages: list[Page]) -> set[str]:
    """Return every access token that any of the tabs has held."""
    found: set[str] = set()
    for page in pages:
        found.update(await run(page, "return [...tokens]"))
    return found


async def test_three_tabs_refresh_once_per_expiry(context: BrowserContext, server: Server) -> None:
    """200 requests each over 3 lifetimes: no 401, one refresh per expiry, one token at the end."""
    watch = Watch(context)
    pages = await tabs_of(context, server.url)
    work = {"count": 200, "pause": 3 * LIFETIME * 1000 / 200}
    statuses = await asyncio.gather(*[run(page, USE, work) for page in pages])
    assert [set(found) for found in statuses] == [{200}] * 3
    await asyncio.sleep(0.5)
    tokens = await distinct_tokens(pages)
    refreshes = watch.count("/auth/refresh")
    assert refreshes == len(tokens) - 1 >= 3
    final = await states(pages)
    assert len({state["tokenId"] for state in final}) == 1
    assert {state["sequence"] for state in final} == {refreshes}
    assert watch.refused("/auth/me") == 0
    assert watch.faults == []


async def test_all_tabs_wait_for_one_refresh_of_an_expired_token(
    context: BrowserContext, server: Server
) -> None:
    """After an idle lifetime all tabs send requests at once: one refresh, no 401."""
    watch = Watch(context)
    pages = await tabs_of(context, server.url)
    await asyncio.sleep(LIFETIME + 0.5)
    before = watch.count("/auth/refresh")
    burst = """
    const ask = () => session.fetch('/auth/me').then((answer) => answer.status)
    return Promise.all(Array.from({ length: 20 }, ask))
    """
    statuses = await asyncio.gather(*[run(page, burst) for page in pages])
    assert [set(found) for found in statuses] == [{200}] * 3
    assert watch.count("/auth/refresh") - before == 1
    await asyncio.sleep(0.2)
    assert len({state["tokenId"] for state in await states(pages)}) == 1


@pytest.mark.parametrize(
    "missing", ["delete Navigator.prototype.locks", "delete window.BroadcastChannel"]
)
async def test_tabs_go_on_without_locks_or_channel(
    context: BrowserContext, server: Server, missing: str
) -> None:
    """An old browser refreshes more often, and no tab is refused or signed out."""
    await context.add_init_script(missing)
    watch = Watch(context)
    pages = await tabs_of(context, server.url)
    work = {"count": 100, "pause": 2 * LIFETIME * 1000 / 100}
    statuses = await asyncio.gather(*[run(page, USE, work) for page in pages])
    assert [set(found) for found in statuses] == [{200}] * 3
    expiries = len(await distinct_tokens(pages)) - 1
    assert 1 <= expiries <= watch.count("/auth/refresh") <= 3 * expiries  # each tab by itself
    assert watch.refused("/auth/me") == 0
    assert [await run(page, "return ends") for page in pages] == [[], [], []]


async def test_a_killed_server_ends_no_session(context: BrowserContext, tmp_path: Path) -> None:
    """Killed past an expiry and restarted: requests fail meanwhile, none is refused afterwards."""
    server = serving(tmp_path / "data")
    try:
        watch = Watch(context)
        pages = await tabs_of(context, server.url)
        work = {"count": 130, "pause": 100}
        using = asyncio.gather(*[run(page, USE, work) for page in pages])
        await asyncio.sleep(3)
        server.stop(signal.SIGKILL)
        await asyncio.sleep(LIFETIME)
        server.start()
        statuses = await using
        for page in pages:  # on a slow machine the server may have come back only now
            await page.wait_for_function(
                "session.fetch('/auth/me').then(({ status }) => status === 200, () => false)"
            )
        after = await asyncio.gather(
            *[run(page, USE, {"count": 20, "pause": 50}) for page in pages]
        )
    finally:
        server.stop()
    assert [set(found) for found in statuses] == [{200, "TypeError"}] * 3
    assert [set(found) for found in after] == [{200}] * 3
    assert watch.refused("/auth/me") == 0
    assert [await run(page, "return ends") for page in pages] == [[], [], []]
    assert len({state["tokenId"] for state in await states(pages)}) == 1


async def test_a_request_whose_token_expires_on_its_way_is_repeated(
    context: BrowserContext, server: Server
) -> None:
    """A server that gets no core for longer than the buffer refuses it; no one notices."""
    watch = Watch(context)
    (page,) = await tabs_of(context, server.url, 1)
    with server.frozen():
        sent = asyncio.create_task(run(page, USE, {"count": 1, "pause": 0}))
        await page.wait_for_function("session.state.left <= 0")
    assert await sent == [200]
    statuses = [status for url, status in watch.statuses if url.endswith("/auth/me")]
    assert statuses in ([401, 200], [200])  # on a slow machine the client refreshes first
    assert watch.refused("/auth/me") == 0
    assert await run(page, "return ends") == []


async def test_offline_ends_no_session_and_online_renews(
    context: BrowserContext, server: Server
) -> None:
    """Past the expiry without a network: TypeError as from fetch; online again requests succeed."""
    watch = Watch(context)
    (page,) = await tabs_of(context, server.url, 1)
    await context.set_offline(True)
    await asyncio.sleep(LIFETIME + 0.2)
    offline = await run(page, USE, {"count": 2, "pause": 10})
    assert offline == ["TypeError", "TypeError"]
    await context.set_offline(False)
    await page.wait_for_function("session.state.left > 0")  # without any request
    assert await run(page, USE, {"count": 5, "pause": 10}) == [200] * 5
    assert await run(page, "return ends") == []
    assert watch.refused("/auth/me") == 0


async def test_a_tab_frozen_past_its_expiry_takes_the_others_token(
    context: BrowserContext, server: Server
) -> None:
    """After it resumes it sends no old token and makes no refresh."""
    watch = Watch(context)
    pages = await tabs_of(context, server.url, 2)
    frozen, awake = pages
    devtools = await context.new_cdp_session(frozen)
    await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    work = {"count": 40, "pause": (LIFETIME + 1) * 1000 / 40}
    assert set(await run(awake, USE, work)) == {200}
    refreshes = watch.count("/auth/refresh")
    await devtools.send("Page.setWebLifecycleState", {"state": "active"})
    assert await run(frozen, USE, {"count": 3, "pause": 10}) == [200] * 3
    assert watch.refused("/auth/me") == 0
    assert watch.count("/auth/refresh") - refreshes <= 1  # of a token that is near expiry by now
    tokens = await distinct_tokens(pages)
    assert watch.count("/auth/refresh") == len(tokens) - 1


async def test_no_token_is_in_any_storage_or_url(context: BrowserContext, server: Server) -> None:
    """No script can read either kind of token, and no URL contains one."""
    watch = Watch(context)
    secrets: list[str] = []

    async def keep(response: Any) -> None:
        if response.url.endswith(("/auth/login", "/auth/refresh")) and response.ok:
            secrets.append((await response.json())["access_token"])

    waiting: list[asyncio.Task[None]] = []
    context.on("response", lambda r: waiting.append(asyncio.create_task(keep(r))))
    (page,) = await tabs_of(context, server.url, 1)
    await run(page, "await session.refresh(); await session.fetch('/auth/me')")
    await asyncio.gather(*waiting)
    cookies = await context.cookies()
    assert {cookie["name"] for cookie in cookies} == COOKIES
    secrets += [cookie["value"] for cookie in cookies]
    kept = await run(
        page,
        """
        const parts = [document.cookie, location.href, document.documentElement.outerHTML,
          window.name, ...[localStorage, sessionStorage, history.state,
            await indexedDB.databases(), await caches.keys()].map((part) => JSON.stringify(part))]
        return parts.join(' ')
        """,
    )
    assert len(secrets) == 4
    for secret in secrets:
        assert secret not in kept
        assert not any(secret in url for url in watch.urls)


async def test_the_cookie_over_tls_is_as_strict_as_can_be(
    context: BrowserContext, tmp_path: Path
) -> None:
    """``__Host-``, Secure, HttpOnly, SameSite=Strict, this host only, over real TLS."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    server = serving(
        tmp_path / "data", "--certificate", str(certificate), "--private-key", str(key)
    )
    assert context.browser is not None
    trusting = await context.browser.new_context(ignore_https_errors=True)
    try:
        page = await tab(trusting, server.url, SIGN_IN)
        await run(page, "await session.refresh()")
        assert await run(page, USE, {"count": 3, "pause": 10}) == [200] * 3
        cookies = await trusting.cookies()
        plain = await trusting.cookies(server.url.replace("https", "http"))
    finally:
        server.stop()
    assert {cookie["name"] for cookie in cookies} == COOKIES
    for cookie in cookies:
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
    assert all(cookie["secure"] for cookie in plain)


async def test_a_sign_out_in_one_tab_ends_all(context: BrowserContext, server: Server) -> None:
    """At once, and the refresh cookie, too: a new tab finds no session."""
    pages = await tabs_of(context, server.url)
    await run(pages[1], "await session.signOut()")
    for page in pages:
        await page.wait_for_function("ends.length === 1")
        assert await run(page, "return ends") == ["signed out"]
        assert (await run(page, "return (await session.fetch('/auth/me')).status")) == 401
    assert {cookie["name"] for cookie in await context.cookies()} == {"__Host-refresh-device"}
    late = await tab(context, server.url, JOIN)
    assert await run(late, "return session.token()") == ""
    assert await run(late, "return ends") == ["absent"]


async def test_who_signs_in_in_one_tab_is_signed_in_in_all(
    context: BrowserContext, server: Server
) -> None:
    """Another user in another tab: every tab is notified and goes on as that user."""
    pages = await tabs_of(context, server.url, 2)
    await run(pages[1], "await session.signOut()")
    await run(pages[1], f"await session.signIn({{ username: 'bob', password: '{PASSWORD}' }})")
    await pages[0].wait_for_function("session.state.subject === 'bob'")
    who = "return (await (await session.fetch('/auth/me')).json()).subject"
    assert [await run(page, who) for page in pages] == ["bob", "bob"]


async def opened(context: BrowserContext, server: Server, path: str = "/") -> Page:
    """Open the page, and sign alice in with the keyboard only."""
    page = await context.new_page()
    await page.goto(server.url + path)
    await expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    await page.get_by_label("Password").focus()
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Access token")).to_be_visible()
    return page


@pytest.mark.parametrize(
    ("path", "words"), [("/", "this tab refreshed"), ("/?sliding", "successor")]
)
async def test_the_page_shows_renewals_as_they_happen(
    context: BrowserContext, server: Server, path: str, words: str
) -> None:
    """Both ways, in turn: the log names the tab that renewed; a second tab shares the session."""
    watch = Watch(context)
    page = await opened(context, server, path)
    log = page.get_by_role("log")
    await expect(log).to_contain_text(words, timeout=60_000)
    async with context.expect_page() as coming:
        await page.get_by_role("button", name="Open a second tab").click()
    second = await coming.value
    await expect(second.get_by_role("heading", name="Access token")).to_be_visible()
    await second.get_by_role("button", name="Five requests at once").click()
    await expect(second.get_by_role("log")).to_contain_text("200, 200, 200, 200, 200")
    await page.get_by_role("button", name="Sign out everywhere").click()
    for each in (page, second):
        await expect(each.get_by_role("heading", name="Sign in")).to_be_visible()
    assert watch.refused("/me") == 0
    assert watch.faults == []


async def test_a_stolen_token_betrays_itself_on_the_page(
    context: BrowserContext, server: Server
) -> None:
    """The copy is presented after the owner's renewal: reuse, and the session ends for both."""
    page = await opened(context, server)
    await page.get_by_role("button", name="Steal the refresh token and replay it").click()
    log = page.get_by_role("log")
    await expect(log).to_contain_text("the thief presents the copy: reused")
    await expect(log).to_contain_text("the server ended the session")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_wrong_password_is_told_beside_its_field(
    context: BrowserContext, server: Server
) -> None:
    """An alert with the server's message, and the focus returns to the password field."""
    page = await context.new_page()
    await page.goto(server.url)
    await page.get_by_label("Password").fill("wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("the name or the password is wrong")
    await expect(page.get_by_label("Password")).to_be_focused()


async def test_the_page_fits_a_phone_in_both_schemes(
    context: BrowserContext, server: Server
) -> None:
    """No horizontal scrolling at 320 pixels, targets of at least 44, every control has a name."""
    page = await opened(context, server)
    await page.set_viewport_size({"width": 320, "height": 640})
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        facts = await run(
            page,
            """
            const all = [...document.querySelectorAll('button, select')]
            const shown = all.filter((e) => e.offsetParent)
            return [document.documentElement.scrollWidth, shown.map((e) => e.offsetHeight),
              getComputedStyle(document.body).backgroundColor]
            """,
        )
        assert facts[0] <= 320
        assert min(facts[1]) >= 44
        assert facts[2] == {"light": "rgb(246, 245, 241)", "dark": "rgb(20, 24, 26)"}[scheme]
    for role in ("button", "radio", "switch", "timer", "log"):
        for found in await page.get_by_role(role).all():
            assert re.search(r"\w", await found.aria_snapshot())
