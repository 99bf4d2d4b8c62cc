"""The Python client against a real server: renewed in time, once, and never lost."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from chaos import Proxy
from linqi import ConfigurationError
from linqi.client.httpx import RefreshingAuth as HttpxAuth
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.renewing import Answer, Renewing
from linqi.client.tokens import FileStorage, MemoryStorage, Tokens, read_times, tokens_of
from linqi.errors import MalformedToken, SignedOut, Unavailable
from linqi_storm.processes import running
from linqi_storm.serve import PASSWORD_VARIABLE
from tokens import good_claims, make

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a server with dual tokens whose access tokens live 2 to 6 s."""
    folder = tmp_path_factory.mktemp("client")
    arguments = ["linqi_storm.dual", "--data", str(folder / "data")]
    arguments += ["--store", f"sqlite:{folder / 's.db'}"]
    arguments += ["--lifetime-seconds", "6", "--buffer-seconds", "2"]
    environment = {PASSWORD_VARIABLE: PASSWORD}
    with running(arguments, folder / "log", health="/healthz", environment=environment) as url:
        yield url


def login(server: str) -> Tokens:
    """Sign alice in."""
    answer = httpx2.post(f"{server}/login", json={"username": "alice", "password": PASSWORD})
    return tokens_of(answer.raise_for_status().json(), None)


class Elsewhen(float):
    """A wall clock that is ahead by some seconds."""

    def __call__(self) -> float:
        """Give the time."""
        return time.time() + self


def expire(auth: Any) -> None:
    """Make the client think that its access token is over, as after a long sleep."""
    auth.renewing._wall = Elsewhen(10_000)


class Counting(RefreshingAuth):
    """Counts how often a refresh token is posted."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.posts = 0

    def _body(self) -> dict[str, str]:
        self.posts += 1
        self.renewing._wall = time.time
        return super()._body()


async def test_two_hundred_tasks_at_expiry_make_one_refresh(server: str) -> None:
    """All wait for it, all are answered, and they share the new token."""
    auth = Counting(f"{server}/refresh", login(server))
    async with httpx2.AsyncClient(base_url=server, auth=auth, timeout=20) as client:
        expire(auth)
        answers = await asyncio.gather(*[client.get("/me") for _ in range(200)])
    print("200 tasks at expiry:", auth.posts, "refresh")
    assert {answer.status_code for answer in answers} == {200}
    assert auth.posts == 1


def test_sixteen_threads_at_expiry_make_one_refresh(server: str) -> None:
    """The flight is shared across threads, too."""
    auth = Counting(f"{server}/refresh", login(server))
    statuses: list[int] = []
    start = threading.Barrier(16)
    with httpx2.Client(base_url=server, auth=auth, timeout=20) as client:
        expire(auth)

        def work() -> None:
            start.wait()
            statuses.append(client.get("/me").status_code)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 16
    assert auth.posts == 1


@pytest.mark.parametrize(("auth_class", "library"), [(RefreshingAuth, httpx2), (HttpxAuth, httpx)])
def test_both_libraries_are_served(server: str, auth_class: Any, library: Any) -> None:
    """httpx2 and httpx: fresh, then refused and retried, sync and async."""
    auth = auth_class(f"{server}/refresh", login(server))
    with library.Client(base_url=server, auth=auth) as client:
        assert client.get("/me").status_code == 200
        before = auth.renewing.renewals  # 1 where the grid's first token was nearly over
        with auth.renewing._lock:  # a token that the server refuses: its last character is wrong
            held = auth.renewing._tokens
            other = "A" if held.access_token[-10] != "A" else "B"
            bad = held.access_token[:-10] + other + held.access_token[-9:]
            auth.renewing._tokens = Tokens(
                access_token=bad, refresh_token=held.refresh_token, sequence=held.sequence
            )
        assert client.post("/me", json={"a": 1}).status_code in (200, 405)
        assert auth.renewing.renewals == before + 1

    async def run() -> None:
        async with library.AsyncClient(base_url=server, auth=auth) as client:
            expire(auth)
            auth.renewing._retry_at = -1
            waiting = asyncio.create_task(client.get("/me"))
            await asyncio.sleep(0.01)
            auth.renewing._wall = time.time
            assert (await waiting).status_code == 200

    asyncio.run(run())


def test_a_token_goes_to_its_own_origin_only(server: str) -> None:
    """Another host, port or scheme gets no token."""
    auth = RefreshingAuth("https://shop.example/refresh", login(server))
    with httpx2.Client(auth=auth) as client:
        answer = client.get(f"{server}/me")
    assert answer.status_code == 401
    assert "authorization" not in answer.request.headers


async def test_lost_replies_lose_neither_request_nor_session(server: str) -> None:
    """The proxy drops the reply of a refresh: the same token is presented again."""
    port = int(server.rpartition(":")[2])
    async with Proxy(("127.0.0.1", port)).running() as proxy:
        base = f"http://127.0.0.1:{proxy.port}"
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            proxy.set("lose_reply" if len(pauses) < 3 else "pass")
            await asyncio.sleep(0)

        auth = Counting(f"{base}/refresh", login(server), async_sleep=sleep)
        async with httpx2.AsyncClient(base_url=base, auth=auth, timeout=20) as client:
            expire(auth)
            answers = await asyncio.gather(*[client.get("/me") for _ in range(20)])
        assert {answer.status_code for answer in answers} == {200}
        assert auth.posts == 3
        assert auth.renewing.tokens is not None
        assert auth.renewing.tokens.sequence == 1


async def test_a_dead_server_ends_no_session(server: str) -> None:
    """While it is away the token is used as long as it lives; afterwards a clear error."""
    auth = RefreshingAuth(
        "http://127.0.0.1:9/refresh", login(server), async_sleep=lambda _: asyncio.sleep(0)
    )
    expire(auth)
    async with httpx2.AsyncClient(auth=auth) as client:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await client.get("http://127.0.0.1:9/me")
    assert auth.renewing.tokens is not None


async def test_a_session_that_is_over_is_one_clear_error_for_all(server: str) -> None:
    """Every waiter hears the same; nothing is tried again."""
    tokens = login(server)
    httpx2.post(f"{server}/logout", json={"refresh_token": tokens.refresh_token})
    auth = Counting(f"{server}/refresh", tokens)
    async with httpx2.AsyncClient(base_url=server, auth=auth, timeout=20) as client:
        expire(auth)
        results = await asyncio.gather(
            *[client.get("/me") for _ in range(30)], return_exceptions=True
        )
        assert {type(result) for result in results} == {SignedOut}
        with pytest.raises(SignedOut):
            await client.get("/me")
    assert auth.posts == 1


async def test_a_leader_that_is_cancelled_hands_over(server: str) -> None:
    """Its flight ends without counting as a failure; the next one leads."""
    auth = Counting(f"{server}/refresh", login(server))
    async with httpx2.AsyncClient(base_url=server, auth=auth, timeout=20) as client:
        expire(auth)
        tasks = [asyncio.create_task(client.get("/me")) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {result.status_code for result in results[1:]} == {200}  # type: ignore[union-attr]


def pair(clock: float, life: float, sequence: int) -> Tokens:
    """Give tokens that live for `life` from `clock` on."""
    from linqi import Key

    claims = good_claims(iat=clock, exp=clock + life)
    token = make(Key.from_secret(b"k" * 16 + b"0123456789abcdef"), claims)
    return Tokens(access_token=token, refresh_token=f"r{sequence}", sequence=sequence)


class Desk:
    """A `Renewing` in a time that is moved by hand."""

    def __init__(self, life: float = 900) -> None:
        self.now = 1_800_000_000.0
        self.renewing = Renewing(
            pair(self.now, life, 1),
            wall=lambda: self.now,
            monotonic=lambda: self.now,
            chance=lambda: 0.0,
        )

    def answer(self, life: float = 900, sequence: int = 2) -> Answer:
        """Give a good answer of the refresh route."""
        tokens = pair(self.now, life, sequence)
        body = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "sequence": sequence,
        }
        return Answer(status=200, body=body)


def test_near_expiry_one_renews_while_the_others_go_on() -> None:
    """Advisory: the old token is sent by everybody but the one who leads."""
    desk = Desk()
    assert desk.renewing.plan().flight is None
    desk.now += 601
    leader = desk.renewing.plan()
    assert leader.is_leader
    assert desk.renewing.plan().token
    desk.now += 270
    waiter = desk.renewing.plan()
    assert (waiter.token, waiter.is_leader, waiter.flight) == ("", False, leader.flight)
    assert leader.flight is not None
    desk.renewing.settle(leader.flight, desk.answer())
    assert leader.flight.done()
    assert desk.renewing.plan().flight is None
    assert desk.renewing.renewals == 1


def test_a_transient_failure_backs_off_and_uses_the_old_token() -> None:
    """The next attempt comes later; the token is used while it lives, then it is an error."""
    desk = Desk()
    desk.now += 601
    for backoff in (0.5, 1.0, 2.0):
        leader = desk.renewing.plan()
        assert leader.is_leader
        assert leader.flight is not None
        desk.renewing.settle(leader.flight, Answer(status=503))
        assert desk.renewing.plan().token
        desk.now += backoff - 0.01
        assert not desk.renewing.plan().is_leader
        desk.now += 0.02
    leader = desk.renewing.plan()
    assert leader.flight is not None
    desk.now += 300
    desk.renewing.settle(leader.flight, Answer(status=0))
    with pytest.raises(Unavailable) as caught:
        desk.renewing.plan()
    assert caught.value.retry_after == pytest.approx(4.0)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=200, body=None),
        Answer(status=200, body={"access_token": "x"}),
        Answer(status=200, body={"access_token": 7}),
        Answer(status=400, body={"error": "invalid_request"}),
        Answer(status=400, body="<html>"),
        Answer(status=404),
        Answer(status=500),
    ],
)
def test_answers_that_say_nothing_end_no_session(answer: Answer) -> None:
    """Only ``invalid_grant`` does."""
    desk = Desk()
    desk.now += 601
    leader = desk.renewing.plan()
    assert leader.flight is not None
    desk.renewing.settle(leader.flight, answer)
    assert desk.renewing.plan().token


def test_a_late_answer_never_overwrites_a_newer_token() -> None:
    """By sequence for refreshes, by exp for successors."""
    desk = Desk()
    desk.now += 601
    leader = desk.renewing.plan()
    assert leader.flight is not None
    desk.renewing.sign_in(pair(desk.now, 900, 5))
    desk.renewing.settle(leader.flight, desk.answer(sequence=2))
    assert desk.renewing.tokens is not None
    assert desk.renewing.tokens.sequence == 5
    older = pair(desk.now, 100, 5).access_token
    newer = pair(desk.now, 1200, 5).access_token
    assert not desk.renewing.adopt(older)
    assert not desk.renewing.adopt("nonsense")
    assert desk.renewing.adopt(newer)
    assert desk.renewing.tokens.access_token == newer
    assert desk.renewing.tokens.refresh_token == "r5"


def test_tokens_are_kept_in_a_private_file(tmp_path: Path) -> None:
    """Mode 0600, whole, forgotten at sign-out; a broken file is no tokens."""
    storage = FileStorage(tmp_path / "tokens.json")
    assert storage.load() is None
    desk = pair(1_800_000_000, 900, 3)
    renewing = Renewing(desk, storage=storage)
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert storage.load() == desk
    assert Renewing(storage=storage).tokens == desk
    assert desk.refresh_token not in repr(desk)
    assert renewing.sign_out() == desk
    assert storage.load() is None
    (tmp_path / "tokens.json").write_text("{")
    assert storage.load() is None
    with pytest.raises(SignedOut):
        Renewing(storage=MemoryStorage()).plan()


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "a.e30.c", "a.eyJleHAiOiJ4In0.c"])
def test_what_is_no_token_is_said_so(token: str) -> None:
    """A client reads exp without trust, and not from anything."""
    with pytest.raises(MalformedToken):
        read_times(token)


def test_a_refresh_url_that_is_none_is_refused() -> None:
    """Before anything is sent."""
    for url in ("", "/refresh", "ftp://x/refresh"):
        with pytest.raises(ConfigurationError):
            RefreshingAuth(url)
