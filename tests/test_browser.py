"""The browser client in real browsers: its judge, its requests, its sessions.

``LINQI_BROWSERS=chromium,firefox,webkit`` runs all tests in each, as ``make browsers`` does.
"""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from browsers import Browser, Page, browser_of, chosen_engines
from chrome import run
from echo_server import Arrived, echo_over_tls

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = json.loads((Path(__file__).parent / "vectors" / "judge.json").read_text())
OPEN = """
const { createSession } = await import('/js/linqi.js')
window.session = createSession(argument ?? {})
window.told = []
for (const kind of ['signedin', 'renewed', 'ending', 'signedout'])
  session.addEventListener(kind, ({ detail }) => told.push([kind, detail]))
"""
SIGN_IN = OPEN + "await session.signIn({ username: 'alice', password: 'x' })"

JUDGE = """
const { hold, judge, secondsLeft } = await import('/js/linqi.js')
const faults = []
for (const { name, settings, token, received, now, expect } of argument.cases) {
  const { refresh_in: refreshIn = null, ...came } = received
  const held = hold({
    issuedAt: token.iat, expiresAt: token.exp, settings, refreshIn, ...came,
  })
  const verdict = judge(held, now.wall, now.monotonic)
  const left = secondsLeft(held, now.wall, now.monotonic)
  if (verdict !== expect.verdict || !(Math.abs(left - expect.left) < 1e-6)) {
    faults.push([name, verdict, left, expect])
  }
}
return [argument.cases.length, faults]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=chosen_engines())
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Return a running browser of each chosen engine."""
    async with browser_of(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the echo application in its own process, over TLS."""
    with echo_over_tls(tmp_path_factory.mktemp("echo")) as url:
        yield url


async def judged(page: Page, table: dict[str, Any]) -> Any:
    """Return the number of test vectors, and those on which linqi.js differs."""
    return await run(page, JUDGE, table)


async def test_the_table_holds_in_the_browser(page: Page) -> None:
    """The same rules in two languages: each test vector, verdict and seconds left."""
    assert await judged(page, TABLE) == [len(TABLE["cases"]), []]


async def test_a_request_carries_a_token_to_its_own_origin_only(page: Page, server: str) -> None:
    """Another origin gets none, and an Authorization header of the caller stays."""
    arrived = Arrived(server)
    other = server.replace("127.0.0.1", "localhost")
    statuses = await run(
        page,
        SIGN_IN.replace("argument ?? {}", "{}")
        + """
        const own = await session.fetch('/echo')
        await session.fetch(`${argument}/js/linqi.js?elsewhere`, { mode: 'no-cors' })
        const mine = await session.fetch('/echo?mine', { headers: { Authorization: 'Bearer x' } })
        return [own.status, mine.status]
        """,
        other,
    )
    assert statuses == [200, 401]
    seen = {(one["host"], one["path"]): one["authorization"] for one in arrived.all()}
    host = server.removeprefix("https://")
    assert seen[host, "/echo"].startswith("Bearer ey")
    assert seen[other.removeprefix("https://"), "/js/linqi.js?elsewhere"] is None
    assert seen[host, "/echo?mine"] == "Bearer x"


BODIES = {
    "text": "'héllo'",
    "json": "JSON.stringify({ a: [1, 2] })",
    "form": "new URLSearchParams({ a: 'b c' })",
    "multipart": "((f) => { f.set('a', new File(['x'], 'n')); return f })(new FormData())",
    "blob": "new Blob(['blob'], { type: 'text/plain' })",
    "bytes": "new Uint8Array([1, 2, 255])",
    "none": "undefined",
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("as_request", [False, True])
async def test_a_refused_request_is_refreshed_and_sent_once_more(
    page: Page, server: str, kind: str, as_request: bool
) -> None:
    """A 401 for a revoked token: one refresh, then the same body again."""
    arrived = Arrived(server)
    given = "new Request('/echo', init)" if as_request else "'/echo', init"
    answers = await run(
        page,
        SIGN_IN
        + f"""
        const init = {{ method: 'POST', body: {BODIES[kind]} }}
        const before = await (await session.fetch({given})).json()
        await fetch('/revoke', {{
          method: 'POST', body: new URLSearchParams({{ token: await session.token() }}),
        }})
        const answer = await session.fetch({given})
        return [answer.status, before, await answer.json(), session.state.sequence]
        """,
    )
    status, before, after, sequence = answers
    assert status == 200
    assert arrived.count("/refresh") == 1
    assert arrived.refused("/echo") == 1
    assert sequence == 1
    if kind != "multipart":  # its boundary is drawn anew
        assert before == after
    assert len(before["body"]) == len(after["body"])
    assert before["body"] or kind == "none"


async def test_a_stream_is_not_sent_twice(page: Page) -> None:
    """A body that cannot be read twice is sent once, and the 401 is returned."""
    status = await run(
        page,
        SIGN_IN
        + """
        await fetch('/revoke', {
          method: 'POST', body: new URLSearchParams({ token: await session.token() }),
        })
        const body = new Blob(['x']).stream()
        try {
          return (await session.fetch('/echo', { method: 'POST', body, duplex: 'half' })).status
        } catch (error) { return error.name }
        """,
    )
    # Chromium streams uploads over HTTP/2 only, WebKit not at all; Firefox sends the object's name.
    assert status in (401, "TypeError", "NotSupportedError")


async def test_a_401_about_something_else_is_the_answer(page: Page, server: str) -> None:
    """Without ``invalid_token`` in the challenge there is no refresh."""
    arrived = Arrived(server)
    status = await run(
        page,
        SIGN_IN
        + """
        const real = window.fetch
        window.fetch = async (request) => new Response('', { status: 401 })
        const answer = await session.fetch('/echo')
        window.fetch = real
        return answer.status
        """,
    )
    assert (status, arrived.count("/refresh")) == (401, 0)


async def test_a_session_that_ended_tells_every_waiter(page: Page) -> None:
    """Revoked at the server: one refresh is refused, ten requests return their 401."""
    answers = await run(
        page,
        SIGN_IN
        + """
        const token = await session.token()
        await fetch('/logout-all', {
          method: 'POST', headers: { Authorization: `Bearer ${token}` },
        })
        const all = await Promise.all(Array.from({ length: 10 }, () => session.fetch('/echo')))
        const after = await session.fetch('/echo')
        return [all.map((a) => a.status), after.status, told.map(([kind, d]) => [kind, d.reason])]
        """,
    )
    statuses, after, told = answers
    assert set(statuses) == {401}
    assert after == 401
    assert told == [["signedin", None], ["signedout", "refused"]]


async def test_wrong_passwords_and_throttling_are_told(page: Page) -> None:
    """SignInError has the status, the OAuth error and the wait."""
    answer = await run(
        page,
        OPEN
        + """
        window.fetch = async () => new Response('{"error":"slow_down"}', {
          status: 429, headers: { 'retry-after': '7' },
        })
        return session.signIn({ username: 'a', password: 'b' })
          .catch((e) => [e.name, e.status, e.code, e.retryAfter])
        """,
    )
    assert answer == ["SignInError", 429, "slow_down", 7]


async def test_a_page_without_session_asks_once_and_then_goes_without(
    page: Page, server: str
) -> None:
    """No cookie: the session is `absent`, requests carry no token, and no refresh is repeated."""
    arrived = Arrived(server)
    answer = await run(
        page,
        OPEN
        + """
        const statuses = []
        for (let i = 0; i < 3; i += 1) statuses.push((await session.fetch('/echo')).status)
        return [statuses, await session.token(), told]
        """,
    )
    absent = {"reason": "absent", "elsewhere": False}
    assert answer == [[401, 401, 401], "", [["signedout", absent]]]
    assert arrived.count("/refresh") == 1


# A clock and a server of the test's own, for what cannot be waited for.
STUB = """
const { createSession } = await import('/js/linqi.js')
let now = 1800000000, mono = 1000
const b64 = (value) => btoa(JSON.stringify(value)).replaceAll('=', '').replaceAll('+', '-')
  .replaceAll('/', '_')
const make = (exp, more = {}) => `e30.${b64({ sub: 'alice', sid: 's', iat: now, exp, ...more })}.x`
const pass = (seconds) => { now += seconds; mono += seconds }
const posts = []
let answer = () => new Response('', { status: 500 })
window.fetch = async (input, init) => {
  const url = input.url ?? input
  if (url.endsWith('/refresh')) posts.push(mono)
  return answer(url, input)
}
const session = createSession({
  wall: () => now, monotonic: () => mono, chance: () => 0.5, ...argument,
})
const told = []
for (const kind of ['signedin', 'renewed', 'ending', 'signedout'])
  session.addEventListener(kind, ({ detail }) => told.push([kind, detail.by ?? detail.reason]))
const json = (value, init) => new Response(JSON.stringify(value), init)
const refreshed = (exp, sequence, more) => json({
  access_token: make(exp, { jti: `t${sequence}`, ...more }), sequence, refresh_in: exp - now - 300,
})
const wait = (ms) => new Promise((done) => setTimeout(done, ms))
session.start({ access_token: make(now + 900, { jti: 't0' }), sequence: 0, refresh_in: 600 })
"""


async def test_near_expiry_one_refreshes_and_the_others_go_on(page: Page) -> None:
    """Advisory: no request waits. Mandatory: all requests wait for the one refresh."""
    answer = await run(
        page,
        STUB
        + """
        let release
        const gate = new Promise((done) => { release = done })
        answer = async (url) => {
          if (url.endsWith('/refresh')) { await gate; return refreshed(now + 900, 1) }
          return new Response('')
        }
        pass(700)
        const first = await Promise.all([session.token(), session.token(), session.token()])
        await wait(50)
        pass(180)
        let waiting = true
        const late = session.token().then((token) => { waiting = false; return token })
        await wait(50)
        const stillWaits = waiting
        release()
        const next = await late
        return [new Set(first).size, stillWaits, first[0] !== next, posts.length, told]
        """,
    )
    assert answer == [1, True, True, 1, [["signedin", "login"], ["renewed", "refresh"]]]


async def test_a_late_answer_never_replaces_a_newer_token(page: Page) -> None:
    """Neither does an older sequence, another user's token, or a redirected response's."""
    answer = await run(
        page,
        STUB
        + """
        const slid = (exp) => new Response('', { headers: { 'x-refresh-token': make(exp) } })
        const releases = []
        answer = () => new Promise((done) => releases.push(done))
        const one = session.fetch('/a'), two = session.fetch('/b')
        await wait(50)
        releases[1](slid(now + 1200))
        await two
        const newer = session.state.left
        releases[0](slid(now + 1000))
        await one
        const kept = session.state.left
        answer = () => refreshed(now + 5000, -5)
        await session.refresh()
        const byRefresh = session.state.left
        answer = () => slid(now - 1)
        await session.fetch('/c')
        answer = () => new Response('', { headers: { 'x-refresh-token': 'garbage' } })
        await session.fetch('/d')
        const stranger = make(now + 9000, { sid: 'other', sub: 'mallory' })
        answer = () => new Response('', { headers: { 'x-refresh-token': stranger } })
        await session.fetch('/e')
        const redirected = slid(now + 9000)
        Object.defineProperty(redirected, 'url', { value: 'https://elsewhere.example/' })
        answer = () => redirected
        await session.fetch('/f')
        return [newer, kept, byRefresh, session.state.left]
        """,
    )
    assert answer == pytest.approx([1200, 1200, 1200, 1200], abs=1)


async def test_a_response_after_the_sign_out_restores_no_session(page: Page) -> None:
    """A refresh under way at the sign-out is dropped, and so is a successor."""
    answer = await run(
        page,
        STUB
        + """
        const releases = []
        answer = (url) => url.endsWith('/logout') ? new Response(null, { status: 204 })
          : new Promise((done) => releases.push(done))
        const under = session.refresh(), request = session.fetch('/a')
        await wait(50)
        await session.signOut()
        releases[0](refreshed(now + 2000, 1))
        releases[1](new Response('', { headers: { 'x-refresh-token': make(now + 3000) } }))
        await Promise.all([under, request])
        return [session.state.isSignedIn, await session.token(), told.at(-1)]
        """,
    )
    assert answer == [False, "", ["signedout", "signed out"]]


@pytest.mark.parametrize("refreshes", ["/refresh", None])
async def test_a_sign_in_is_not_lost_to_what_the_page_asked_when_it_loaded(
    page: Page, refreshes: str | None
) -> None:
    """A slow login replaces a refresh that finds no cookie, and none starts meanwhile."""
    answer = await run(
        page,
        STUB
        + """
        session.close()
        const fresh = createSession({ wall: () => now, ...argument, name: 'load' })
        const seen = []
        answer = async (url) => {
          seen.push(url)
          if (!url.endsWith('/login')) {
            await wait(60)
            return json({ error: 'invalid_grant' }, { status: 400 })
          }
          await wait(400)
          return json({ access_token: make(now + 900), sequence: 0 })
        }
        const loading = fresh.token()
        await wait(20)
        const login = fresh.signIn({ username: 'alice', password: 'x' })
        await wait(150)
        const meanwhile = fresh.refresh()
        await Promise.all([login, loading, meanwhile])
        return [fresh.state.subject, seen]
        """,
        {"refreshUrl": refreshes},
    )
    assert answer == ["alice", ["/refresh", "/login"] if refreshes else ["/login"]]


async def test_a_sign_in_wins_over_what_another_tab_says_meanwhile(page: Page) -> None:
    """The cookie is the new user's, so the token is, too, whatever other tabs send meanwhile."""
    answer = await run(
        page,
        STUB
        + """
        session.close()
        const other = new BroadcastChannel('linqi:meanwhile')
        const fresh = createSession({ wall: () => now, name: 'meanwhile' })
        const seen = []
        answer = async () => {
          other.postMessage({
            kind: 'token', token: make(now + 900, { sub: 'alice', sid: 'a' }), sequence: 0,
            held: { expiresAt: now + 900, offset: 0, life: 900, advisory: 300, mandatory: 30 },
          })
          while (!seen.length) await wait(10)
          return json({ access_token: make(now + 900, { sub: 'bob', sid: 'b' }), sequence: 0 })
        }
        fresh.addEventListener('signedin', ({ detail }) => seen.push([detail.by, detail.subject]))
        await fresh.signIn({ username: 'bob', password: 'x' })
        return seen
        """,
    )
    assert answer == [["tab", "alice"], ["login", "bob"]]


async def test_a_tab_that_holds_no_token_yet_signs_out_all(page: Page) -> None:
    """It asks the other tabs first, so that its message names the session that ends."""
    answer = await run(
        page,
        STUB
        + """
        session.close()
        const [first, second] = [0, 1].map(() => createSession({ wall: () => now, name: 'two' }))
        answer = async () => json({ access_token: make(now + 900, { sid: 'a' }), sequence: 0 })
        const fresh = createSession({ wall: () => now, name: 'two' })
        first.start({ access_token: make(now + 900, { sid: 'a' }), sequence: 0 })
        const late = createSession({ wall: () => now, name: 'two' })
        await late.signOut()
        const all = [first, second, fresh, late]
        for (let i = 0; i < 500 && all.some(({ state }) => state.isSignedIn); i++) await wait(10)
        return all.map(({ state }) => state.isSignedIn)
        """,
    )
    assert answer == [False] * 4


async def test_while_the_server_is_away_the_old_token_serves_and_attempts_part(page: Page) -> None:
    """Backoff with jitter until it expires; then TypeError; one success ends the outage."""
    answer = await run(
        page,
        STUB
        + """
        answer = () => new Response('', { status: 503 })
        pass(880)
        const token = await session.token()
        const tries = posts.length
        const again = await session.token()
        const afterBackoff = posts.length
        pass(30)
        const failed = await session.token().catch((error) => error.name)
        const failedAgain = await session.token().catch((error) => error.name)
        const many = posts.length
        answer = () => refreshed(now + 900, 1)
        pass(60)
        const back = await session.token()
        const changed = back !== token
        return [token === again, tries, afterBackoff, failed, failedAgain, many, changed, told]
        """,
    )
    told = [["signedin", "login"], ["renewed", "refresh"]]
    assert answer == [True, 3, 3, "TypeError", "TypeError", 6, True, told]


@pytest.mark.parametrize(
    "body",
    ["''", "'{'", "'[]'", "'{}'", "'{\"access_token\": 5}'", '\'{"access_token": "a.b.c"}\''],
)
async def test_an_odd_answer_ends_no_session(page: Page, body: str) -> None:
    """A 200 that is not a token response delays the next attempt like an outage."""
    answer = await run(
        page,
        STUB
        + f"""
        answer = () => new Response({body})
        pass(880)
        const token = await session.token()
        return [!!token, session.state.isSignedIn, posts.length]
        """,
    )
    assert answer == [True, True, 1]


async def test_a_server_that_gives_dead_tokens_is_not_asked_for_ever(page: Page) -> None:
    """An access token that has expired on arrival counts as a failure."""
    answer = await run(
        page,
        STUB
        + """
        answer = () => refreshed(now - 10, 1)
        pass(1000)
        const failed = await session.token().catch((error) => error.name)
        return [failed, posts.length]
        """,
    )
    assert answer == ["TypeError", 1]


async def test_the_end_of_a_session_is_told_once(page: Page) -> None:
    """`ending` is sent `ending` seconds before the absolute end, whatever is renewed."""
    answer = await run(
        page,
        STUB
        + """
        const end = now + 300.2
        answer = () => refreshed(now + 900, 1, { session_end: end })
        const access_token = make(now + 900, { session_end: end, sid: 'new' })
        session.start({ access_token, sequence: 0 })
        await wait(20)
        const early = told.filter(([kind]) => kind === 'ending').length
        pass(0.2)
        await wait(400)
        answer = () => refreshed(now + 900, 1, { session_end: end, sid: 'new' })
        await session.refresh()
        await wait(100)
        return [early, told.filter(([kind]) => kind === 'ending').length, told.at(-1)[0]]
        """,
    )
    assert answer == [0, 1, "renewed"]


async def test_a_session_that_only_the_server_renews_ends_with_its_token(page: Page) -> None:
    """Without `refreshUrl` the expiry of an unused token ends it, without any request."""
    answer = await run(
        page,
        STUB
        + """
        session.start({ access_token: make(now + 0.3), sequence: -1 })
        pass(0.4)
        await wait(900)
        return [told.at(-1), posts.length, session.state.isSignedIn]
        """,
        {"refreshUrl": None},
    )
    assert answer == [["signedout", "expired"], 0, False]


async def test_a_jump_of_the_wall_clock_costs_one_refresh(page: Page) -> None:
    """Set ahead by a day: one refresh, then the new clock is used."""
    answer = await run(
        page,
        STUB
        + """
        answer = () => json({ access_token: make(now + 900), sequence: 1 },
          { headers: { date: new Date(now * 1000).toUTCString() } })
        now += 86400
        await session.token()
        await session.token()
        now -= 86400
        await session.token()
        return posts.length
        """,
    )
    assert answer == 1


async def test_who_aborts_a_request_waits_for_no_refresh(page: Page) -> None:
    """AbortError at once, before the first and the second try; the refresh goes on."""
    answer = await run(
        page,
        STUB
        + """
        let release
        const gate = new Promise((done) => { release = done })
        const sent = []
        const invalid = { 'www-authenticate': 'Bearer error="invalid_token"' }
        answer = async (url) => {
          if (url.endsWith('/refresh')) { await gate; return refreshed(now + 900, 1) }
          sent.push(url)
          return new Response('', { status: 401, headers: invalid })
        }
        const name = (promise) => promise.then(() => 'answered', (error) => error.name)
        const leaving = new AbortController()
        const refused = name(session.fetch('/late', { signal: leaving.signal }))
        await wait(50)
        pass(1000)
        const early = name(session.fetch('/early', { signal: leaving.signal }))
        const stays = session.token()
        await wait(50)
        leaving.abort()
        const aborted = await Promise.race([Promise.all([refused, early]), wait(2000)])
        const never = await name(session.fetch('/x', { signal: AbortSignal.abort() }))
        const timed = await name(session.fetch('/y', { signal: AbortSignal.timeout(20) }))
        release()
        const renewed = await stays
        return [aborted, never, timed, sent.length, !!renewed, posts.length, told.at(-1)]
        """,
    )
    aborted = ["AbortError", "AbortError"]
    assert answer == [aborted, "AbortError", "TimeoutError", 1, True, 1, ["renewed", "refresh"]]


async def test_what_one_person_asked_for_is_never_sent_again_as_another(page: Page) -> None:
    """Another user signed in while a request was refused: the 401 is returned."""
    answer = await run(
        page,
        STUB
        + """
        const sent = []
        const invalid = { 'www-authenticate': 'Bearer error="invalid_token"' }
        answer = (url, request) => {
          sent.push(request.headers.get('authorization'))
          const access_token = make(now + 900, { sub: 'bob', sid: 'other' })
          session.start({ access_token, sequence: 0 })
          return new Response('', { status: 401, headers: invalid })
        }
        const { status } = await session.fetch('/transfer', { method: 'POST', body: 'all of it' })
        return [status, sent.length, posts.length, session.state.subject]
        """,
    )
    assert answer == [401, 1, 0, "bob"]


async def test_a_tab_that_keeps_the_lock_blocks_no_other_tab(page: Page) -> None:
    """Like a frozen tab: after the timeout of one POST the others refresh without the lock."""
    answer = await run(
        page,
        STUB
        + """
        const real = AbortSignal.timeout.bind(AbortSignal), asked = []
        AbortSignal.timeout = (ms) => { asked.push(ms); return real(ms / 50) }
        navigator.locks.request('linqi:session:refresh', () => new Promise(() => {}))
        answer = () => refreshed(now + 900, 1)
        pass(1000)
        const token = await session.token()
        return [!!token, posts.length, asked[0]]
        """,
    )
    assert answer == [True, 1, 10_000]


async def test_a_refresh_that_is_cut_in_the_middle_is_tried_again(page: Page) -> None:
    """The status arrived and the body did not: the response counts as lost."""
    answer = await run(
        page,
        STUB
        + """
        const cut = () => new Response(new ReadableStream({
          pull(body) { body.error(new TypeError('cut')) },
        }))
        answer = () => posts.length < 3 ? cut() : refreshed(now + 900, 1)
        pass(1000)
        return [!!(await session.token()), posts.length]
        """,
    )
    assert answer == [True, 3]


async def test_no_post_follows_a_redirect(page: Page, server: str) -> None:
    """Neither a password nor a session message is sent to the redirect's target."""
    arrived = Arrived(server)
    other = server.replace("127.0.0.1", "localhost")
    urls = {f"{name}Url": f"/moved?to={other}/{name}" for name in ("refresh", "login", "logout")}
    answer = await run(
        page,
        OPEN
        + """
        const name = (promise) => promise.then(() => 'done', (error) => error.name)
        const signedIn = await name(session.signIn({ username: 'alice', password: 'x' }))
        return [signedIn, await name(session.token()), await name(session.signOut())]
        """,
        urls,
    )
    assert answer == ["TypeError"] * 3
    paths = {(one["path"].partition("?")[0], one["status"]) for one in arrived.all()}
    assert ("/moved", 307) in paths
    assert not paths & {("/login", 200), ("/refresh", 200), ("/logout", 200)}
    assert all(one["host"] in server for one in arrived.all())


async def test_a_machine_without_a_network_still_asks_its_own_server(page: Page) -> None:
    """`navigator.onLine` is false, and the server on localhost answers: one try."""
    answer = await run(
        page,
        STUB
        + """
        Object.defineProperty(navigator, 'onLine', { get: () => false })
        answer = () => Promise.reject(new TypeError('Failed to fetch'))
        pass(1000)
        const failed = await session.token().catch((error) => error.name)
        const tries = posts.length
        answer = () => refreshed(now + 900, 1)
        pass(60)
        return [failed, tries, !!(await session.token()), posts.length]
        """,
    )
    assert answer == ["TypeError", 1, True, 2]


async def test_a_sign_out_everywhere_without_a_server_ends_the_session_here(page: Page) -> None:
    """Expired token, server down: the promise rejects, and this browser has no session."""
    answer = await run(
        page,
        STUB
        + """
        answer = () => Promise.reject(new TypeError('Failed to fetch'))
        pass(1000)
        const failed = await session.signOut({ everywhere: true }).catch((error) => error.name)
        return [failed, session.state.isSignedIn, told.at(-1)]
        """,
    )
    assert answer == ["TypeError", False, ["signedout", "signed out"]]


async def test_a_login_whose_token_has_expired_is_reported(page: Page) -> None:
    """The clock is wrong by hours and there is no Date: signIn rejects."""
    answer = await run(
        page,
        STUB
        + """
        const access_token = make(now - 1, { sid: 'new' })
        answer = () => json({ access_token, sequence: 0 })
        return session.signIn({ username: 'a', password: 'b' }).catch((e) => [e.name, e.message])
        """,
    )
    assert answer == ["TypeError", "the access token has expired"]


async def test_a_quiet_request_goes_with_a_living_token_and_refreshes_nothing(
    page: Page, server: str
) -> None:
    """Real server: 200 with the header until it expires; once revoked, its 401 is returned."""
    arrived = Arrived(server)
    statuses = await run(
        page,
        SIGN_IN
        + """
        const quiet = { quiet: true }
        const statuses = [(await session.fetch('/echo', quiet)).status]
        await fetch('/revoke', {
          method: 'POST', body: new URLSearchParams({ token: await session.token() }),
        })
        statuses.push((await session.fetch('/echo?revoked', quiet)).status)
        statuses.push((await session.fetch('/echo?loud')).status)
        return statuses
        """,
        {"quietHeader": "X-Quiet"},
    )
    assert statuses == [200, 401, 200]
    assert arrived.count("/refresh") == 1
    assert [one["quiet"] for one in arrived.all()].count("1") == 2


@pytest.mark.parametrize("refreshes", ["/refresh", None])
async def test_a_quiet_request_keeps_no_session_alive(page: Page, refreshes: str | None) -> None:
    """With 1 s left it is sent unchanged, with 0 s left not at all; a successor is ignored."""
    answer = await run(
        page,
        STUB
        + """
        const seen = []
        answer = (url) => {
          seen.push(url)
          return new Response('', { headers: { 'x-refresh-token': make(now + 5000) } })
        }
        const quiet = () => session.fetch('/polls', { quiet: true })
          .then(({ status }) => status, ({ name, code }) => [name, code])
        const answers = []
        for (const seconds of [0, 700, 199, 1, 1000]) {
          pass(seconds)
          answers.push(await quiet())
        }
        return [answers, seen.length, posts, told]
        """,
        {"refreshUrl": refreshes},
    )
    refused = ["Error", "quiet_expired"]
    assert answer == [[200, 200, 200, refused, refused], 3, [], [["signedin", "login"]]]


async def test_a_quiet_request_elsewhere_is_a_plain_one(page: Page) -> None:
    """Another origin gets neither token nor header."""
    answer = await run(
        page,
        STUB
        + """
        const carried = []
        answer = (url, { headers }) => {
          carried.push([headers.has('authorization'), headers.has('x-quiet')])
          return new Response('')
        }
        pass(1000)
        await session.fetch('https://elsewhere.example/', { quiet: true })
        return carried
        """,
        {"quietHeader": "X-Quiet"},
    )
    assert answer == [[False, False]]
