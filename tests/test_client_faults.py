"""The Python client while the network breaks: no request is lost, no session ends."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from chaos import Proxy
from linqi.client.flow import RefreshingFlow
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import ClientTokens, FileStorage
from linqi.errors import Unavailable
from signed_in import Counting, CountingHttpx, Elsewhen, expire, forged, login
from waiting import wait_until

Send = Callable[..., Any]


@pytest.fixture
async def proxy(dual_server: str) -> AsyncIterator[Proxy]:
    """Return a proxy in front of the server whose connections can be cut."""
    port = int(dual_server.rpartition(":")[2])
    async with Proxy(("127.0.0.1", port)).running() as relay:
        yield relay


@pytest.fixture(params=[httpx2, httpx], ids=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    """Return each of the two libraries."""
    return request.param


@pytest.fixture
def counting(library: Any) -> Any:
    """Return the auth class that counts its renewals."""
    return Counting if library is httpx2 else CountingHttpx


@pytest.fixture(params=["async", "sync"])
def send(request: pytest.FixtureRequest, proxy: Proxy, library: Any) -> Send:
    """Return a function that sends concurrent requests with either kind of client."""
    base = f"http://127.0.0.1:{proxy.port}"

    async def sending(auth: Any, method: str, count: int) -> list[Any]:
        async with library.AsyncClient(base_url=base, auth=auth, timeout=20) as client:
            calls = [client.request(method, "/me") for _ in range(count)]
            return await asyncio.gather(*calls, return_exceptions=True)

    async def sending_sync(auth: Any, method: str, count: int) -> list[Any]:
        with library.Client(base_url=base, auth=auth, timeout=20) as client:
            calls = [asyncio.to_thread(client.request, method, "/me") for _ in range(count)]
            return await asyncio.gather(*calls, return_exceptions=True)

    async def call(auth: Any, method: str = "GET", count: int = 1) -> list[Any]:
        """Return the status of each request, or the class of its error."""
        how = sending if request.param == "async" else sending_sync
        results = await how(auth, method, count)
        return [
            result.status_code if isinstance(result, library.Response) else type(result)
            for result in results
        ]

    return call


@pytest.fixture
def auth(dual_server: str, proxy: Proxy, counting: Any) -> Any:
    """Return a client that has just signed in."""
    return counting(f"http://127.0.0.1:{proxy.port}/refresh", login(dual_server))


def sequence(auth: RefreshingFlow) -> int:
    """Return the sequence of the current tokens: the number of rotations."""
    assert auth.renewal.tokens is not None
    return auth.renewal.tokens.sequence


@pytest.mark.parametrize(
    ("mode", "times", "posts"),
    [("lose_reply", 2, 3), ("cut", 2, 3), ("slow", 1, 1), ("pass", 0, 1)],
)
async def test_a_fault_of_a_refresh_loses_no_request(
    proxy: Proxy, auth: Counting, send: Send, mode: str, times: int, posts: int
) -> None:
    """With an expired token the same refresh token is posted until a response: one rotation."""
    expire(auth)
    proxy.set(mode, only=b"/refresh", times=times)
    assert await send(auth, count=20) == [200] * 20
    assert auth.posts == posts
    assert sequence(auth) == 1
    proxy.set("pass")
    expire(auth)
    assert await send(auth, count=5) == [200] * 5
    assert sequence(auth) == 2


@pytest.mark.parametrize(("mode", "renewed"), [("pass", 1), ("cut", 0)])
async def test_near_expiry_a_token_for_another_client_waits_for_the_refresh(
    proxy: Proxy, auth: Counting, mode: str, renewed: int
) -> None:
    """It is the new one; where the refresh fails, it is the one that is still valid."""
    held, before = auth.renewal._held, auth.renewal.tokens
    assert held is not None
    assert before is not None
    auth.renewal._wall = Elsewhen(held.life - held.advisory + 0.05)
    proxy.set(mode, only=b"/refresh")
    token = await asyncio.to_thread(auth.token)
    after = auth.renewal.tokens
    assert after is not None
    assert token == after.access_token
    assert (token != before.access_token) == bool(renewed)
    assert sequence(auth) == renewed


@pytest.mark.parametrize("mode", ["lose_reply", "cut", "hang"])
async def test_near_expiry_no_request_waits_for_a_refresh_that_fails(
    proxy: Proxy, auth: Counting, send: Send, mode: str
) -> None:
    """The old token is used until it expires, and the session goes on afterwards."""
    held = auth.renewal._held
    assert held is not None
    auth.renewal._wall = Elsewhen(held.life - held.advisory + 0.05)
    assert auth.renewal.plan().token
    auth.renewal._flight = None  # that plan is not executed
    is_over = threading.Event()

    async def pause(seconds: float) -> None:
        if seconds:  # between the tries
            await asyncio.to_thread(is_over.wait)

    auth._sleep = pause
    proxy.set(mode, only=b"/refresh")
    assert await send(auth, count=20) == [200] * 20
    assert auth.renewal._flight is not None, "the renewal must still be under way"
    is_over.set()
    proxy.set("pass")  # what hung arrives late
    for thread in threading.enumerate():
        if thread.name == "linqi-renewal":
            await asyncio.to_thread(thread.join)
    auth.renewal._backoff.retry_at = 0
    expire(auth)
    assert await send(auth) == [200]
    assert sequence(auth) in (1, 2)


async def test_a_long_outage_is_one_clear_error(proxy: Proxy, auth: Counting, send: Send) -> None:
    """Expired token, every attempt lost: Unavailable for all; after the outage requests succeed."""
    expire(auth)
    proxy.set("cut", only=b"/refresh")
    auth.keeps_the_clock = True
    assert await send(auth, count=10) == [Unavailable] * 10
    assert auth.posts == 3
    proxy.set("pass")
    auth.keeps_the_clock = False
    auth.renewal._backoff.retry_at = 0
    assert await send(auth) == [200]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("mode", ["lose_reply", "cut"])
async def test_a_lost_request_raises_and_is_never_sent_twice(
    proxy: Proxy, auth: Counting, send: Send, library: Any, mode: str, method: str
) -> None:
    """The server may have executed it, so the caller decides. The session goes on."""
    proxy.set(mode, only=b"/me", times=1)
    (error,) = await send(auth, method)
    assert issubclass(error, library.TransportError)
    assert [line for line in proxy.seen if b"/me" in line] == [f"{method} /me HTTP/1.1".encode()]
    assert await send(auth) == [200]
    assert sequence(auth) == 0


async def test_a_slow_reply_is_only_slow(proxy: Proxy, auth: Counting, send: Send) -> None:
    """The client waits for it and sends the request once."""
    proxy.set("slow", only=b"/me")
    assert await send(auth, count=3) == [200] * 3
    assert len([line for line in proxy.seen if b"/me" in line]) == 3


async def test_a_lost_reply_of_the_second_try_is_not_tried_again(
    proxy: Proxy, auth: Counting, send: Send, library: Any
) -> None:
    """After a 401 there is one more try, and its error is raised."""
    tokens = auth.renewal.tokens
    assert tokens is not None
    auth.renewal.sign_in(forged(tokens))
    real = auth._post

    async def posted(client: Any) -> Any:
        answer = await real(client)
        proxy.set("lose_reply", only=b"/me", times=1)
        return answer

    auth._post = posted  # type: ignore[method-assign]
    (error,) = await send(auth)
    assert issubclass(error, library.TransportError)
    assert len([line for line in proxy.seen if b"/me" in line]) == 2


async def test_a_late_answer_does_not_overwrite_a_newer_one(
    proxy: Proxy, dual_server: str, send: Send, counting: Any
) -> None:
    """The first refresh hangs and is abandoned, two more succeed, then its response arrives."""
    auth = counting(f"http://127.0.0.1:{proxy.port}/refresh", login(dual_server))
    settled: list[int] = []
    real = auth.renewal.settle

    def settle(flight: Any, answer: Any) -> None:
        real(flight, answer)
        if answer.status == 200:
            settled.append(answer.body["sequence"])

    auth.renewal.settle = settle  # type: ignore[method-assign]
    proxy.set("hang", only=b"/refresh", times=1)
    expire(auth)
    # The loop of the first renewal must outlive its caller, as that of a service does.
    first = asyncio.create_task(auth._renew(auth.renewal.plan().flight, asyncio.to_thread))  # type: ignore[arg-type]
    while not proxy.seen:
        await asyncio.sleep(0.01)
    auth.renewal._flight_ends_at = 0  # its time is over
    expire(auth)
    assert await send(auth) == [200]
    assert sequence(auth) == 1
    expire(auth)
    assert await send(auth) == [200]
    assert sequence(auth) == 2
    proxy.set("pass")
    await first
    assert settled == [1, 2, 1]
    assert sequence(auth) == 2
    assert await send(auth) == [200]


@pytest.fixture
def rogue() -> Iterator[Callable[..., Any]]:
    """Return a function that makes clients whose server answers with a given function."""

    def make(answer: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))

    return make


HOSTILE: dict[str, Callable[[], httpx2.Response]] = {
    "huge": lambda: httpx2.Response(200, content=b"[" + b"1," * 5_000_000 + b"1]"),
    "deep": lambda: httpx2.Response(200, content=b"[" * 60_000),
    "html": lambda: httpx2.Response(200, html="<html>"),
    "list": lambda: httpx2.Response(200, json=[]),
    "number": lambda: httpx2.Response(200, json={"access_token": 7, "refresh_token": "r"}),
    "null": lambda: httpx2.Response(200, json={"access_token": None}),
    "header": lambda: httpx2.Response(200, json={"access_token": "a.eyJleHAiOjl9.c\r\nX: y"}),
    "bomb": lambda: httpx2.Response(200, content=b"x", headers={"content-encoding": "gzip"}),
    "latin": lambda: httpx2.Response(200, content=b"\xff\xfe"),
    "redirect": lambda: httpx2.Response(307, headers={"location": "https://evil.example/"}),
    "error": lambda: httpx2.Response(400, json={"error": ["invalid_grant"]}),
    "away": lambda: httpx2.Response(503, headers={"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_answer_of_hostile_form_ends_no_session(
    dual_server: str, rogue: Callable[..., Any], kind: str
) -> None:
    """It is read to 64 KiB, not trusted, no redirect is followed; the old token stays in use."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return HOSTILE[kind]()

    tokens = login(dual_server)
    auth = RefreshingAuth(
        f"{dual_server}/refresh",
        tokens,
        make_client=lambda: rogue(answer),
        sleep=lambda _: asyncio.sleep(0),
    )
    plan = auth.renewal.plan(refused=tokens.access_token)
    assert plan.flight is not None
    await auth._async_execute(plan)
    assert auth.renewal.tokens == tokens
    assert set(asked) == {"127.0.0.1"}
    assert auth.renewal._backoff.retry_at > time.monotonic()
    with pytest.raises(Unavailable):
        auth.renewal.plan(refused=tokens.access_token)


async def test_a_client_that_follows_redirects_posts_no_token_elsewhere(
    dual_server: str, rogue: Callable[..., Any]
) -> None:
    """Even if the given client would follow them: a 307 repeats the body."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return HOSTILE["redirect"]()

    auth = RefreshingAuth(
        f"{dual_server}/refresh",
        login(dual_server),
        make_client=lambda: httpx2.AsyncClient(
            transport=httpx2.MockTransport(answer), follow_redirects=True
        ),
    )
    expire(auth)
    async with httpx2.AsyncClient(auth=auth) as client:
        with pytest.raises(Unavailable):
            await client.get(f"{dual_server}/me")
    assert asked == ["127.0.0.1"]


async def test_a_redirect_to_another_origin_takes_no_token_and_gives_none(
    dual_server: str,
) -> None:
    """Neither its X-Refresh-Token nor its 401 is trusted."""
    tokens = login(dual_server)
    newer = login(dual_server).access_token
    heard: list[Any] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        heard.append((request.url.host, request.headers.get("authorization")))
        if request.url.host == "127.0.0.1":
            return httpx2.Response(302, headers={"location": "https://evil.example/"})
        headers = {"x-refresh-token": newer, "www-authenticate": 'Bearer error="invalid_token"'}
        return httpx2.Response(401, headers=headers)

    auth = RefreshingAuth(f"{dual_server}/refresh", tokens)
    auth.renewal.adopt = lambda *_: pytest.fail("adopted")  # type: ignore[method-assign]
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(answer), auth=auth, follow_redirects=True
    ) as client:
        assert (await client.get(f"{dual_server}/me")).status_code == 401
    assert heard == [("127.0.0.1", f"Bearer {tokens.access_token}"), ("evil.example", None)]
    assert auth.renewal.tokens == tokens


def test_a_renewal_near_the_end_of_a_program_is_kept(dual_server: str, tmp_path: Path) -> None:
    """The program waits for the thread of the renewal, and the new tokens are in the file."""
    path = tmp_path / "tokens"
    tokens = login(dual_server)
    FileStorage(path).save(tokens)
    program = f"""
import dataclasses
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import FileStorage
auth = RefreshingAuth("{dual_server}/refresh", storage=FileStorage("{path}"))
plan = auth.renewal.plan(refused=auth.renewal.tokens.access_token)
auth._execute(dataclasses.replace(plan, token="does not wait"))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    kept = FileStorage(path).load()
    assert kept is not None
    assert kept.sequence == tokens.sequence + 1


WORKER = """
import json, sys, httpx2
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import FileStorage
server, path = sys.argv[1:]
class Counting(RefreshingAuth):
    posts = 0
    async def _post(self, client):
        self.posts += 1
        return await super()._post(client)
auth = Counting(f"{server}/refresh", storage=FileStorage(path))
with httpx2.Client(base_url=server, auth=auth) as client:
    print('"ready"', flush=True)
    for line in sys.stdin:
        auth.renewal._held = auth.renewal._sendable = None
        status = client.get("/me").status_code
        print(json.dumps([status, auth.posts, auth.renewal.tokens.sequence]), flush=True)
"""


def test_two_processes_with_one_file_share_a_renewal(tmp_path: Path, dual_server: str) -> None:
    """The second uses what the first has saved; at the same moment both get one successor."""
    path = tmp_path / "tokens"
    FileStorage(path).save(login(dual_server))
    command = [sys.executable, "-c", WORKER, dual_server, str(path)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for worker in workers:
            assert answer_of(worker) == "ready"  # with the tokens of the login in memory
        first, second = workers
        tell(first)
        assert answer_of(first) == [200, 1, 1]
        wait_until(
            lambda: (FileStorage(path).load() or ClientTokens(access_token="")).sequence == 1
        )
        tell(second)
        assert answer_of(second) == [200, 0, 1]
        for worker in workers:
            tell(worker)
        answers = [answer_of(worker) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    # One has posted before; now one of them does, or both where neither saw the other's tokens.
    assert sum(posts for _, posts, _ in answers) in (2, 3)
    assert {(status, sequence) for status, _, sequence in answers} == {(200, 2)}


def tell(worker: "subprocess.Popen[str]") -> None:
    """Let the worker drop its access token and make a request."""
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def answer_of(worker: "subprocess.Popen[str]") -> Any:
    """Return its status, its number of POST requests so far, and its sequence."""
    assert worker.stdout is not None
    return json.loads(worker.stdout.readline())
