"""A page and its API on two origins of one site, in real Chromium, with CORS and cookies.

The page is at ``app.site.test``, the API at ``api.site.test``; ``evil.site.test`` is a sibling that
is not listed, and ``app.other.test`` another site. Chromium maps all of them to loopback.
"""

import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from chrome import Watch, browsing, run
from linqi import JWTMiddleware, Key, Person, SessionRoutes, Sessions, Signer, Verifier
from linqi.browser import FOLDER
from linqi.stores.memory import MemoryStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTS = ("app.site.test", "api.site.test", "evil.site.test", "app.other.test")
OPEN = """
const { createSession } = await import('/js/linqi.js')
const { api, ...more } = argument
window.session = createSession({
  loginUrl: `${api}/login`, refreshUrl: `${api}/refresh`, logoutUrl: `${api}/logout`,
  logoutAllUrl: `${api}/logout-all`, origins: [api], ...more,
})
"""
SIGN_IN = OPEN + "await session.signIn({ username: 'alice', password: 'x' })\n"


class Api:
    """An API with session routes, and the blank pages of every host, on one or two ports."""

    def __init__(self, folder: Path, *, is_secure: bool) -> None:
        self.heads: list[tuple[str, str, dict[str, str]]] = []
        ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        numbers = [port.getsockname()[1] for port in ports]
        scheme = "https" if is_secure else "http"
        names = HOSTS if is_secure else ("localhost",) * len(HOSTS)
        self.app, self.api, self.evil, self.other = [
            f"{scheme}://{name}:{numbers[place == 1]}" for place, name in enumerate(names)
        ]
        options: dict[str, Any] = {}
        if is_secure:
            authority = trustme.CA()
            pem = folder / "cert.pem"
            authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path(str(pem))
            options["ssl_certfile"] = str(pem)
        else:  # the same machine by another name is another site
            self.other = f"http://127.0.0.1:{numbers[0]}"
        # The other site is allowed here, too, so that the routes themselves must refuse it.
        self.allowed = [self.app, self.other]
        config = uvicorn.Config(
            self._layered(is_secure), log_level="critical", ws="none", **options
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=(ports,))

    def _layered(self, is_secure: bool) -> Any:
        """Return the usual layers: CORS outside, then the middleware, the routes, the app."""
        signer = Signer(Key.generate("ES256"), issuer=self.api, audience="shop")
        sessions = Sessions(MemoryStore(), signer, Key.generate("HS256"), hooks=[])
        verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)

        async def page(request: Request) -> Response:
            return HTMLResponse("<!doctype html><title>blank</title>")

        async def me(request: Request) -> Response:
            return JSONResponse({"subject": request.user.identity})

        inner = Starlette(
            routes=[
                Route("/", page),
                Route("/me", me),
                Mount("/js", StaticFiles(directory=FOLDER)),
            ]
        )
        options = {} if is_secure else {"cookie_secure": False, "cookie_name": "refresh"}
        routes = SessionRoutes(
            inner,
            sessions,
            verifier,
            lambda form: Person(subject=form["username"]),
            origins=[self.app],
            throttle=None,
            **options,
        )
        public = [*routes.public, "/", "/js/*"]
        guarded = JWTMiddleware(routes, verifier, public=public, services=[sessions], hooks=[])
        cors = CORSMiddleware(
            guarded,
            allow_origins=self.allowed,
            allow_credentials=True,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Token-Delivery"],
            expose_headers=["Date", "WWW-Authenticate", "Retry-After", "X-Refresh-Token"],
        )

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                head = {name.decode(): value.decode() for name, value in scope["headers"]}
                self.heads.append((scope["method"], scope["path"], head))
            await cors(scope, receive, send)

        return noted

    def sent(self, path: str, *, start: int = 0) -> list[dict[str, str]]:
        """Return the headers of what was posted to `path` since request number `start`."""
        sent = self.heads[start:]
        return [head for method, where, head in sent if (method, where) == ("POST", path)]

    @contextlib.contextmanager
    def running(self) -> Iterator["Api"]:
        """Serve."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)
        yield self
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return the API over TLS."""
    with Api(tmp_path_factory.mktemp("tls"), is_secure=True).running() as api:
        yield api


@pytest.fixture(scope="module")
def developed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return the API over plain http on loopback."""
    with Api(tmp_path_factory.mktemp("dev"), is_secure=False).running() as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Return a browser that finds the test's hosts on this machine."""
    async with browsing("--host-resolver-rules=MAP *.test 127.0.0.1") as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Return an empty profile that takes the test's certificate."""
    made = await browser.new_context(ignore_https_errors=True)
    yield made
    await made.close()


async def opened(context: BrowserContext, url: str) -> Page:
    """Return a blank page of an origin."""
    page = await context.new_page()
    await page.goto(url)
    return page


async def refresh_cookie(context: BrowserContext, api: Api) -> Any:
    """Return the cookie with the refresh token, which the API's origin gets."""
    cookies = await context.cookies(api.api)
    return next((cookie for cookie in cookies if cookie["name"].endswith("refresh")), None)


@pytest.mark.parametrize("layout", ["served", "developed"])
async def test_d9_a_listed_sibling_signs_in_refreshes_and_signs_out(
    context: BrowserContext, layout: str, request: pytest.FixtureRequest
) -> None:
    """D9: the whole of a single-page app at a sibling of its API, over TLS and in development."""
    api: Api = request.getfixturevalue(layout)
    watch = Watch(context)
    page = await opened(context, api.app)
    argument = {"api": api.api}
    me = "const me = async () => (await (await session.fetch(`${argument.api}/me`)).json()).subject"
    first = await run(
        page,
        SIGN_IN
        + me
        + """
        const names = [await me()]
        await session.refresh()
        names.push(await me())
        return [names, session.state.sequence, document.cookie]
        """,
        argument,
    )
    assert first == [["alice", "alice"], 1, ""]
    heads = api.sent("/refresh")
    assert {head["sec-fetch-site"] for head in heads} == {"same-site"}
    assert {head["origin"] for head in heads} == {api.app}
    name = "__Host-refresh" if layout == "served" else "refresh"
    cookie = await refresh_cookie(context, api)
    assert cookie is not None
    assert (cookie["name"], cookie["secure"]) == (name, layout == "served")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    # A new page has no token in memory: the cookie alone brings the session back.
    await page.goto(api.app)
    again = await run(page, OPEN + me + "\nreturn [await me(), session.state.sequence]", argument)
    assert again == ["alice", 2]
    # A living token that was revoked: the 401 is readable across origins, one refresh follows.
    refused = await run(
        page,
        me
        + """
        const body = new URLSearchParams({ token: await session.token() })
        await fetch(`${argument.api}/revoke`, { method: 'POST', body })
        return [await me(), session.state.sequence]
        """,
        argument,
    )
    assert refused == ["alice", 3]
    over = await run(
        page,
        OPEN
        + """
        await session.token()
        await session.signOut()
        const late = createSession({
          refreshUrl: `${api}/refresh`, origins: [api], name: 'late',
        })
        const reason = new Promise((done) => {
          late.addEventListener('signedout', ({ detail }) => done(detail.reason))
        })
        await late.refresh()
        return [session.state.isSignedIn, await reason]
        """,
        argument,
    )
    assert over == [False, "absent"]
    assert await refresh_cookie(context, api) is None
    assert watch.faults == []


HOSTILE = """
const tried = async (init) => {
  try {
    const answer = await fetch(`${argument}/refresh`, {
      method: 'POST', credentials: 'include', ...init,
    })
    return answer.type === 'opaque' ? 'opaque' : answer.status
  } catch (error) {
    return error.name
  }
}
const headers = { 'x-token-delivery': 'cookie' }
return [
  await tried({ headers }),
  await tried({ mode: 'no-cors' }),
  await tried({ mode: 'no-cors', body: new URLSearchParams({ grant_type: 'refresh_token' }) }),
]
"""


async def test_d9_an_unlisted_sibling_gets_nothing(context: BrowserContext, served: Api) -> None:
    """D9: CORS stops its script, and what gets past CORS with the cookie is refused."""
    page = await opened(context, served.app)
    await run(page, SIGN_IN, {"api": served.api})
    before = await refresh_cookie(context, served)
    assert before is not None
    start = len(served.heads)
    evil = await opened(context, served.evil)
    assert await run(evil, HOSTILE, served.api) == ["TypeError", "opaque", "opaque"]
    seen = [
        head
        for method, path, head in served.heads[start:]
        if (method, path) == ("POST", "/refresh")
    ]
    assert len(seen) == 2
    assert {head["sec-fetch-site"] for head in seen} == {"same-site"}
    assert all("__Host-refresh=" in head["cookie"] for head in seen)  # SameSite let it through
    assert await refresh_cookie(context, served) == before
    assert await run(page, "await session.refresh(); return session.state.sequence") == 1


async def test_d9_an_unlisted_sibling_that_cors_lets_through_is_refused(
    context: BrowserContext, served: Api
) -> None:
    """D9: a CORS answer that is too wide does not open the session: the routes have their list."""
    page = await opened(context, served.app)
    await run(page, SIGN_IN, {"api": served.api})

    evil = await opened(context, served.evil)
    served.allowed.append(served.evil)
    try:
        assert (await run(evil, HOSTILE, served.api))[0] == 400
    finally:
        served.allowed.remove(served.evil)
    assert await run(page, "await session.refresh(); return session.state.sequence") == 1


@pytest.mark.parametrize("layout", ["served", "developed"])
async def test_d9_another_site_is_refused_even_if_cors_allows_it(
    context: BrowserContext, layout: str, request: pytest.FixtureRequest
) -> None:
    """D9: a page of another site gets no session cookie set, and none is sent for it."""
    api: Api = request.getfixturevalue(layout)
    page = await opened(context, api.other)
    code = await run(
        page,
        OPEN
        + """
        return session.signIn({ username: 'alice', password: 'x' }).catch((error) => error.status)
        """,
        {"api": api.api},
    )
    assert code == 400
    assert await context.cookies(api.api) == []
