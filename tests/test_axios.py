"""The real axios with a session of linqi.js, in a real browser, by both of its adapters.

``LINQI_BROWSERS=chromium,firefox,webkit`` runs all tests in each, as ``make browsers`` does.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from browsers import Browser, Page, Profile, browser_of, chosen_engines
from chrome import run
from echo_server import Arrived, echo_over_tls
from node_package import node_package

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = json.loads((Path(__file__).parent / "vectors" / "judge.json").read_text())
OPEN = """
const { createSession } = await import('/js/linqi.js')
const { attach } = await import('/js/linqi-axios.js')
const { default: axios } = await import('/node/dist/esm/axios.js')
window.axios = axios
window.shift = 0
window.session = createSession({
  wall: () => Date.now() / 1000 + shift, monotonic: () => performance.now() / 1000 + shift,
  ...argument?.options,
})
window.api = axios.create({ adapter: argument?.adapter ?? 'xhr' })
window.detach = attach(api, session, axios)
window.told = []
for (const kind of ['signedin', 'renewed', 'signedout'])
  session.addEventListener(kind, ({ detail }) => told.push([kind, detail.by ?? detail.reason]))
"""
SIGN_IN = OPEN + "await session.signIn({ username: 'alice', password: 'x' })\n"
REVOKE = """
await fetch('/revoke', {
  method: 'POST', body: new URLSearchParams({ token: await session.token() }),
})
"""
ADAPTERS = ("xhr", "fetch")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=chosen_engines())
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Return a running browser of each chosen engine."""
    async with browser_of(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the echo application, which serves axios too."""
    with echo_over_tls(tmp_path_factory.mktemp("echo"), node_package("axios")) as url:
        yield url


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_refused_request_is_refreshed_and_sent_once_more(
    page: Page, server: str, adapter: str
) -> None:
    """The same body again, as JSON, form, file or text; the first response is not seen."""
    arrived = Arrived(server)
    answers = await run(
        page,
        SIGN_IN
        + """
        const bodies = [
          { a: [1, 'é'] }, new URLSearchParams({ a: 'b c' }), 'text', new Blob(['blob']),
        ]
        const answers = []
        for (const body of bodies) {
          const before = await api.post('/echo', body)"""
        + REVOKE
        + """
          const after = await api.post('/echo', body)
          answers.push([after.status, JSON.stringify(before.data) === JSON.stringify(after.data),
            after.data.body.length > 0])
        }
        return answers
        """,
        {"adapter": adapter},
    )
    assert answers == [[200, True, True]] * 4
    assert arrived.count("/refresh") == 4
    assert arrived.refused("/echo") == 4


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_token_goes_to_its_own_origin_only(page: Page, server: str, adapter: str) -> None:
    """Another origin gets none, and an Authorization header of the caller stays."""
    arrived = Arrived(server)
    other = server.replace("127.0.0.1", "localhost")
    statuses = await run(
        page,
        SIGN_IN
        + """
        const status = (promise) => promise.then((r) => r.status, (e) => e.response?.status ?? 0)
        return [
          await status(api.get('/echo', { params: { a: 1 } })),
          await status(api.get('echo', { baseURL: `${location.origin}/` })),
          await status(api.get('/echo?mine', { headers: { Authorization: 'Bearer x' } })),
          await status(api.get(`${argument.other}/js/README.md`)),
        ]
        """,
        {"adapter": adapter, "other": other},
    )
    assert statuses[:3] == [200, 200, 401]
    seen = {(one["host"], one["path"]): one["authorization"] for one in arrived.all()}
    host = server.removeprefix("https://")
    assert seen[host, "/echo?a=1"].startswith("Bearer ey")
    assert seen[host, "/echo"].startswith("Bearer ey")
    assert seen[host, "/echo?mine"] == "Bearer x"
    assert seen.get((other.removeprefix("https://"), "/js/README.md")) is None


async def test_one_refresh_serves_axios_fetch_and_other_tabs(
    page: Page, profile: Profile, server: str
) -> None:
    """Near expiry, ten requests of two tabs by both ways: one refresh."""
    await run(page, SIGN_IN)
    other: Page = await profile.new_page()
    await other.goto(server)
    await run(other, OPEN)
    await run(other, "await session.token()")
    arrived = Arrived(server)
    for each in (page, other):
        await run(
            each,
            """
            shift = 890
            window.all = Promise.all([1, 2, 3, 4, 5].map((n) =>
              n % 2 ? api.get('/echo') : session.fetch('/echo')))
            """,
        )
    shown = "return (await all).map(({ status }) => status)"
    assert await asyncio.gather(*(run(each, shown) for each in (page, other))) == [[200] * 5] * 2
    assert arrived.count("/refresh") == 1
    assert arrived.refused("/echo") == 0


async def test_each_vector_decides_whether_a_request_waits(page: Page) -> None:
    """Fresh and advisory are sent at once; mandatory and expired wait for the refresh."""
    faults = await run(
        page,
        """
        const { createSession } = await import('/js/linqi.js')
        const { attach } = await import('/js/linqi-axios.js')
        const { default: axios } = await import('/node/dist/esm/axios.js')
        const real = window.fetch, gates = new Map(), faults = []
        const b64 = (value) => btoa(JSON.stringify(value)).replaceAll('=', '')
        const make = (claims) => `e30.${b64({ sub: 'a', sid: 's', ...claims })}.x`
        window.fetch = async (url) => {
          const { opened, wall } = gates.get(url)
          await opened
          const answer = { access_token: make({ iat: wall, exp: wall + 9e5 }), sequence: 1 }
          return new Response(JSON.stringify(answer))
        }
        const play = async ({ name, settings, token, received, now, expect }) => {
          let at = received, open
          const opened = new Promise((done) => { open = done })
          gates.set(`/refresh?${name}`, { opened, wall: received.wall })
          const session = createSession({
            name, settings, chance: () => received.chance ?? 0, ending: 0,
            refreshUrl: `/refresh?${name}`, wall: () => at.wall, monotonic: () => at.monotonic,
          })
          const api = axios.create({ adapter: async (config) => ({
            status: 200, data: '', headers: new axios.AxiosHeaders(), config, request: {},
          }) })
          attach(api, session, axios)
          const { iat, exp } = token
          const answer = { access_token: make({ iat, exp }), refresh_in: received.refresh_in }
          const date = received.date === undefined ? null : new Date(received.date * 1000)
          try {
            session.start({ ...answer, sequence: 0 }, date?.toUTCString())
          } catch { /* expired on arrival */ }
          at = now
          let isSent = false
          const done = api.get('/echo').then(() => { isSent = true })
          for (let turn = 0; turn < 100; turn += 1) await null
          const waits = ['mandatory', 'expired'].includes(expect.verdict)
          if (isSent === waits) faults.push([name, expect.verdict, isSent])
          open()
          await done
          session.close()
        }
        await Promise.all(argument.cases.map(play))
        window.fetch = real
        return faults
        """,
        TABLE,
    )
    assert faults == []


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_ended_session_is_an_error_of_axios(page: Page, server: str, adapter: str) -> None:
    """Revoked at the server: the caller gets the 401 that axios makes of it, after one refresh."""
    arrived = Arrived(server)
    answer = await run(
        page,
        SIGN_IN
        + """
        await fetch('/logout-all', {
          method: 'POST', headers: { Authorization: `Bearer ${await session.token()}` },
        })
        const shown = (error) => [axios.isAxiosError(error), error.response.status]
        const failed = await api.get('/echo').catch(shown)
        const quiet = await api.get('/echo', { validateStatus: () => true })
        return [failed, quiet.status, told.at(-1)]
        """,
        {"adapter": adapter},
    )
    assert answer == [[True, 401], 401, ["signedout", "refused"]]
    assert arrived.count("/refresh") == 1


SUCCESSOR = """
const b64 = (value) => btoa(JSON.stringify(value)).replaceAll('=', '')
const now = Math.floor(Date.now() / 1000)
const make = (exp) => `e30.${b64({ sub: 'a', sid: 's', iat: now, exp })}.x`
session.start({ access_token: make(now + 900), sequence: 0 })
"""


@pytest.mark.parametrize(("url", "taken"), [("/echo", True), ("https://elsewhere.example/", False)])
async def test_a_successor_is_taken_from_an_own_response_only(
    page: Page, url: str, taken: bool
) -> None:
    """By its final URL: a redirect may lead elsewhere."""
    answer = await run(
        page,
        OPEN
        + SUCCESSOR
        + """
        const headers = new axios.AxiosHeaders({ 'X-Refresh-Token': make(now + 1800) })
        const responseURL = new URL(argument.url, location).href
        const adapter = async (config) => (
          { status: 200, data: '', headers, config, request: { responseURL } })
        await api.get('/echo', { adapter })
        return told.length
        """,
        {"url": url, "options": {"refreshUrl": None}},
    )
    assert answer == (2 if taken else 1)


async def test_a_successor_is_taken_with_the_fetch_of_axios(page: Page) -> None:
    """Its response names no URL, so that of its `fetch` is noted; a redirected one is not ours."""
    answer = await run(
        page,
        OPEN
        + SUCCESSOR
        + """
        const real = window.fetch, kept = []
        let url = new URL('/echo', location).href
        window.fetch = async () => {
          const response = new Response('{}', {
            headers: { 'x-refresh-token': make(now + 1800 + kept.length) },
          })
          return Object.defineProperty(response, 'url', { value: url })
        }
        const before = await session.token()
        url = 'https://elsewhere.example/'
        await api.get('/echo')
        kept.push(before === await session.token())
        url = new URL('/echo', location).href
        await api.get('/echo')
        kept.push(before === await session.token())
        window.fetch = real
        return kept
        """,
        {"adapter": "fetch", "options": {"refreshUrl": None}},
    )
    assert answer == [True, False]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_abort_a_quiet_request_and_a_detached_instance(
    page: Page, server: str, adapter: str
) -> None:
    """An abort ends the wait, quiet refreshes nothing, and without the interceptor all is plain."""
    arrived = Arrived(server)
    answer = await run(
        page,
        SIGN_IN
        + """
        const leaving = new AbortController()
        let handled = 0
        leaving.signal.onabort = () => { handled += 1 }
        const quiet = (await api.get('/echo', { quiet: true })).status
        shift = 1000
        const expired = await api.get('/echo', { quiet: true }).catch(({ code }) => code)
        const aborted = api.get('/echo', { signal: leaving.signal }).catch(axios.isCancel)
        leaving.abort()
        const answers = [quiet, expired, await aborted, handled]
        detach()
        return [...answers, await api.get('/echo').catch((e) => e.response.status)]
        """,
        {"adapter": adapter, "options": {"quietHeader": "X-Quiet"}},
    )
    assert answer == [200, "quiet_expired", True, 1, 401]
    assert next(one["quiet"] for one in arrived.all() if one["path"] == "/echo") == "1"


async def test_an_instance_without_axios_is_refused(page: Page) -> None:
    """At once, and with what to pass; axios itself needs no third argument."""
    answer = await run(
        page,
        OPEN
        + """
        attach(axios, session)()
        try { attach(axios.create(), session) } catch (error) { return [error.name, error.message] }
        """,
    )
    assert answer[0] == "TypeError"
    assert "attach(instance, session, axios)" in answer[1]


async def test_the_example_of_the_guide_runs(page: Page, server: str) -> None:
    """With the names of a bundler led to the served files."""
    text = (Path(__file__).parent.parent / "docs" / "examples" / "axios_session.js").read_text()
    for name, path in (
        ("axios", "/node/dist/esm/axios.js"),
        ("linqi", "/js/linqi.js"),
        ("linqi/axios", "/js/linqi-axios.js"),
    ):
        text = text.replace(f"from '{name}'", f"from '{server}{path}'")
    answer = await run(
        page,
        """
        const url = URL.createObjectURL(new Blob([argument], { type: 'text/javascript' }))
        const { api, session } = await import(url)
        await session.signIn({ username: 'alice', password: 'x' })
        return (await api.get('/echo')).status
        """,
        text,
    )
    assert answer == 200
