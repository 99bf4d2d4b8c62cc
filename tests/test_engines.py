"""linqi.js in Chromium, Firefox and WebKit: the judge, a session, and tabs that share it.

`tests/test_browser.py` has the other rules; ``make browsers`` runs them in each engine.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from browsers import ENGINES, Browser, Page, Profile, browser_of
from chrome import run
from echo_server import Arrived, echo_over_tls
from test_browser import SIGN_IN, judged

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = json.loads((Path(__file__).parent / "vectors" / "judge.json").read_text())
# A clock that the test moves, in every tab alike.
TAB = """
const { createSession } = await import('/js/linqi.js')
window.shift = 0
window.session = createSession({
  wall: () => Date.now() / 1000 + shift, monotonic: () => performance.now() / 1000 + shift,
})
window.ended = new Promise((done) => session.addEventListener('signedout', done))
"""
SIGNED_IN = f"{TAB} await session.signIn({{ username: 'alice', password: 'x' }})"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Return a running browser of each engine."""
    async with browser_of(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the echo application in its own process, over TLS."""
    with echo_over_tls(tmp_path_factory.mktemp("echo")) as url:
        yield url


async def tab(profile: Profile, server: str, script: str) -> Page:
    """Open a tab of the server, and run a script in it."""
    opened: Page = await profile.new_page()
    await opened.goto(server)
    await run(opened, script)
    return opened


async def is_back(page: Page) -> bool:
    """Return whether a tab shows the first page again; a tab on its way may answer nothing."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(5):
            return bool(await run(page, "return location.pathname === '/'"))
    return False


async def test_the_judge_and_a_session_work(profile: Profile, server: str) -> None:
    """All test vectors; a sign-in, and a refused request that is refreshed and sent again."""
    page, arrived = await tab(profile, server, SIGN_IN), Arrived(server)
    assert await judged(page, TABLE) == [len(TABLE["cases"]), []]
    statuses = await run(
        page,
        """
        const before = await session.fetch('/echo', { method: 'POST', body: 'héllo' })
        await fetch('/revoke', {
          method: 'POST', body: new URLSearchParams({ token: await session.token() }),
        })
        const after = await session.fetch('/echo', { method: 'POST', body: 'héllo' })
        return [before.status, after.status, (await after.json()).body, document.cookie]
        """,
    )
    assert statuses == [200, 200, "héllo".encode().decode("latin-1"), ""]
    assert (arrived.count("/refresh"), arrived.refused("/echo")) == (1, 1)


async def test_tabs_share_a_token_one_refresh_and_the_sign_out(
    profile: Profile, server: str
) -> None:
    """A new tab gets the token of the old one; both are near expiry, and one refreshes."""
    one = await tab(profile, server, SIGNED_IN)
    arrived = Arrived(server)
    two = await tab(profile, server, TAB)
    token = await run(one, "return session.token()")
    assert await run(two, "return session.token()") == token
    assert arrived.count("/refresh") == 0
    for each in (one, two):
        await run(each, "shift = 890; window.next = session.token()")
    first, second = await asyncio.gather(*(run(each, "return window.next") for each in (one, two)))
    assert first == second != token
    assert arrived.count("/refresh") == 1
    await run(one, "await session.signOut()")
    assert await run(two, "const { detail } = await ended; return detail") == {
        "reason": "signed out",
        "elsewhere": True,
    }


async def test_the_lock_of_a_closed_tab_is_free_at_once(profile: Profile, server: str) -> None:
    """Its refresh was not finished, and the other tab does not wait 10 s for it."""
    one = await tab(profile, server, SIGNED_IN)
    two = await tab(profile, server, TAB)
    await run(two, "await session.token()")
    await run(
        one,
        """
        await new Promise((held) => {
          navigator.locks.request('linqi:session:refresh', () => { held(); return ended })
        })
        """,
    )
    await run(two, "shift = 890; window.next = session.token(); window.began = performance.now()")
    await one.close()
    waited = await run(two, "await next; return performance.now() - began")
    assert waited < 9_000


async def test_a_page_that_comes_back_goes_on(profile: Profile, server: str) -> None:
    """By the button "back": from memory (bfcache) or loaded anew, its next request has a token."""
    page = await tab(profile, server, SIGNED_IN)
    await page.goto(f"{server}/js/README.md")
    await page.evaluate("async () => { setTimeout(() => history.back(), 0) }")
    async with asyncio.timeout(60):
        while not await is_back(page):
            await asyncio.sleep(0.02)
    status = await run(
        page,
        f"if (!window.session) {{ {TAB} }}; return (await session.fetch('/echo')).status",
    )
    assert status == 200
