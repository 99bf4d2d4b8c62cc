"""The Python client against a real server: one renewal in time, and no request lost."""

import asyncio
import dataclasses
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import httpx2
import msgspec
import pytest

from linqi import ConfigurationError, Key
from linqi.client.http_post import PostResponse
from linqi.client.httpx import RefreshingAuth as HttpxAuth
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.renewal import TokenRenewal
from linqi.client.tokens import (
    ClientTokens,
    FileStorage,
    MemoryStorage,
    TokenStorage,
    read_claims,
)
from linqi.errors import MalformedToken, SignedOut, Unavailable
from signed_in import Counting, expire, forged, login
from tokens import good_claims, make


async def test_two_hundred_tasks_at_expiry_make_one_refresh(dual_server: str) -> None:
    """All wait for it, all get a response, and they share the new token."""
    auth = Counting(f"{dual_server}/refresh", login(dual_server))
    async with httpx2.AsyncClient(base_url=dual_server, auth=auth, timeout=20) as client:
        expire(auth)
        answers = await asyncio.gather(*[client.get("/me") for _ in range(200)])
    assert {answer.status_code for answer in answers} == {200}
    assert auth.posts == 1


def test_sixteen_threads_at_expiry_make_one_refresh(dual_server: str) -> None:
    """One renewal is shared across threads, too."""
    auth = Counting(f"{dual_server}/refresh", login(dual_server))
    statuses: list[int] = []
    start = threading.Barrier(16)
    with httpx2.Client(base_url=dual_server, auth=auth, timeout=20) as client:
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
def test_both_libraries_are_served(dual_server: str, auth_class: Any, library: Any) -> None:
    """httpx2 and httpx: a fresh token, then a refused one and a retry, sync and async."""
    auth = auth_class(f"{dual_server}/refresh", login(dual_server))
    with library.Client(base_url=dual_server, auth=auth) as client:
        assert client.get("/me").status_code == 200
        before = auth.renewal.renewals  # 1 where the grid's first token was nearly over
        auth.renewal.sign_in(forged(auth.renewal.tokens))
        assert client.post("/me", json={"a": 1}).status_code in (200, 405)
        assert auth.renewal.renewals == before + 1

    async def run() -> None:
        async with library.AsyncClient(base_url=dual_server, auth=auth) as client:
            expire(auth)
            auth.renewal._backoff.retry_at = -1
            waiting = asyncio.create_task(client.get("/me"))
            await asyncio.sleep(0.01)
            auth.renewal._wall = time.time
            assert (await waiting).status_code == 200

    asyncio.run(run())


def test_a_token_goes_to_its_own_origin_only(dual_server: str) -> None:
    """Another host, port or scheme gets no token."""
    auth = RefreshingAuth("https://shop.example/refresh", login(dual_server))
    with httpx2.Client(auth=auth) as client:
        answer = client.get(f"{dual_server}/me")
    assert answer.status_code == 401
    assert "authorization" not in answer.request.headers


async def test_a_dead_server_ends_no_session(dual_server: str) -> None:
    """While the server is down the token is used until it expires; then a clear error is raised."""
    auth = RefreshingAuth(
        "http://127.0.0.1:9/refresh", login(dual_server), sleep=lambda _: asyncio.sleep(0)
    )
    expire(auth)
    async with httpx2.AsyncClient(auth=auth) as client:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await client.get("http://127.0.0.1:9/me")
    assert auth.renewal.tokens is not None


async def test_a_session_that_is_over_is_one_clear_error_for_all(dual_server: str) -> None:
    """Every waiter gets the same error; no refresh is repeated."""
    tokens = login(dual_server)
    httpx2.post(f"{dual_server}/logout", json={"refresh_token": tokens.refresh_token})
    auth = Counting(f"{dual_server}/refresh", tokens)
    async with httpx2.AsyncClient(base_url=dual_server, auth=auth, timeout=20) as client:
        expire(auth)
        results = await asyncio.gather(
            *[client.get("/me") for _ in range(30)], return_exceptions=True
        )
        assert {type(result) for result in results} == {SignedOut}
        with pytest.raises(SignedOut):
            await client.get("/me")
    assert auth.posts == 1


async def test_cancelling_a_request_does_not_cancel_the_renewal(dual_server: str) -> None:
    """The request that started it is cancelled; the renewal ends all the same, and once."""
    auth = Counting(f"{dual_server}/refresh", login(dual_server))
    async with httpx2.AsyncClient(base_url=dual_server, auth=auth, timeout=20) as client:
        expire(auth)
        tasks = [asyncio.create_task(client.get("/me")) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {result.status_code for result in results[1:]} == {200}  # type: ignore[union-attr]
    assert auth.posts == 1


def pair(clock: float, life: float, sequence: int, **claims: Any) -> ClientTokens:
    """Return tokens that live for `life` from `clock` on."""
    key = Key.from_secret(b"k" * 16 + b"0123456789abcdef")
    token = make(key, good_claims(**{"iat": clock, "exp": clock + life, "sid": "s1"} | claims))
    return ClientTokens(access_token=token, refresh_token=f"r{sequence}", sequence=sequence)


class Desk:
    """A `TokenRenewal` whose clock is moved by hand and whose token is near expiry."""

    def __init__(self, storage: TokenStorage | None = None) -> None:
        self.now = 1_800_000_000.0
        self.renewal = TokenRenewal(
            pair(self.now, 900, 1),
            storage=storage,
            wall=lambda: self.now,
            monotonic=lambda: self.now,
            chance=lambda: 0.0,
        )
        assert self.renewal.plan().flight is None
        self.now += 601

    def lead(self) -> Future[None]:
        """Start a renewal."""
        plan = self.renewal.plan()
        assert plan.is_leader
        assert plan.flight is not None
        return plan.flight

    def answer(self, sequence: int, presented: str = "r1", **claims: Any) -> PostResponse:
        """Return a successful response of the refresh route."""
        body = msgspec.to_builtins(pair(self.now, 900, sequence, **claims))
        return PostResponse(status=200, body=body, presented=presented)

    def sequence(self) -> int:
        """Return the sequence of the current tokens."""
        assert self.renewal.tokens is not None
        return self.renewal.tokens.sequence


def test_near_expiry_one_caller_starts_the_renewal_and_none_waits() -> None:
    """Advisory: all send the old token; mandatory: all wait for the one renewal."""
    desk = Desk()
    leader = desk.renewal.plan()
    assert leader.is_leader
    assert leader.token
    other = desk.renewal.plan()
    assert other.token
    assert not other.is_leader
    desk = Desk()
    desk.now += 270
    leader, waiter = desk.renewal.plan(), desk.renewal.plan()
    assert (leader.token, leader.is_leader) == ("", True)
    assert (waiter.token, waiter.is_leader, waiter.flight) == ("", False, leader.flight)
    assert leader.flight is not None
    desk.renewal.settle(leader.flight, desk.answer(2))
    assert leader.flight.done()
    assert desk.renewal.plan().flight is None
    assert desk.renewal.renewals == 1


def test_a_renewal_that_never_ends_is_abandoned() -> None:
    """After a fork, a killed thread or a closed loop the next caller leads after 30 s."""
    desk = Desk()
    lost = desk.lead()
    desk.now += 29.9
    assert not desk.renewal.plan().is_leader
    desk.now += 0.1
    second = desk.lead()
    assert lost.done()
    desk.renewal.settle(second, desk.answer(2))
    desk.renewal.settle(
        lost, PostResponse(status=400, body={"error": "invalid_grant"}, presented="r1")
    )
    assert desk.sequence() == 2


def test_a_transient_failure_backs_off_and_uses_the_old_token() -> None:
    """The next attempt is delayed; the token is used until it expires, then an error is raised."""
    desk = Desk()
    for backoff in (0.5, 1.0, 2.0):
        desk.renewal.settle(desk.lead(), PostResponse(status=503))
        assert desk.renewal.plan().token
        desk.now += backoff - 0.01
        assert not desk.renewal.plan().is_leader
        desk.now += 0.02
    flight = desk.lead()
    desk.now += 300
    desk.renewal.settle(flight, PostResponse(status=0))
    with pytest.raises(Unavailable) as caught:
        desk.renewal.plan()
    assert caught.value.retry_after == pytest.approx(4.0)


@pytest.mark.parametrize(("asked_for", "waits"), [(0, 0.5), (12, 12), (86_400, 300)])
def test_retry_after_delays_the_next_attempt(asked_for: float, waits: float) -> None:
    """By the time that the server asks for, but by at most 300 s."""
    desk = Desk()
    desk.renewal.settle(desk.lead(), PostResponse(status=429, retry_after=asked_for))
    token = desk.renewal.plan().token
    with pytest.raises(Unavailable) as caught:
        desk.renewal.plan(refused=token)
    assert caught.value.retry_after == pytest.approx(waits)


@pytest.mark.parametrize(
    "answer",
    [
        PostResponse(status=200, body=None),
        PostResponse(status=200, body={"access_token": "x"}),
        PostResponse(status=200, body={"access_token": 7}),
        PostResponse(status=400, body={"error": "invalid_request"}),
        PostResponse(status=400, body="<html>"),
        PostResponse(status=404),
        PostResponse(status=500),
    ],
)
def test_answers_that_say_nothing_end_no_session(answer: PostResponse) -> None:
    """Only ``invalid_grant`` ends a session."""
    desk = Desk()
    desk.renewal.settle(desk.lead(), dataclasses.replace(answer, presented="r1"))
    assert desk.renewal.plan().token
    assert not desk.renewal.plan().is_leader


def test_a_late_answer_never_overwrites_a_newer_token() -> None:
    """The sequence decides within a session; a response about an earlier session is ignored."""
    desk = Desk()
    flight = desk.lead()
    desk.renewal.sign_in(pair(desk.now, 900, 5))
    desk.renewal.settle(flight, desk.answer(2))
    assert desk.sequence() == 5
    desk = Desk()
    flight = desk.lead()
    desk.renewal.sign_in(pair(desk.now, 900, 0, sid="s2"))
    desk.renewal.settle(flight, desk.answer(7))
    assert desk.sequence() == 0
    desk = Desk()
    flight = desk.lead()
    desk.renewal.sign_in(pair(desk.now, 900, 0, sid="s2"))
    body = {"error": "invalid_grant"}
    desk.renewal.settle(flight, PostResponse(status=400, body=body, presented="r1"))
    assert desk.sequence() == 0


@pytest.mark.parametrize("life", [900, 0, -5])
def test_a_useless_renewal_is_not_repeated_at_once(life: float) -> None:
    """The same access token again, or an expired one, delays the next attempt and is an error.

    Otherwise each waiting request would post again at once, without end.
    """
    desk = Desk()
    assert desk.renewal.tokens is not None
    refused = desk.renewal.tokens.access_token
    again = pair(desk.now, life, 2).access_token if life <= 0 else refused
    plan = desk.renewal.plan(refused)
    assert plan.flight is not None
    body = {"access_token": again, "refresh_token": "r2", "sequence": 2}
    desk.renewal.settle(plan.flight, PostResponse(status=200, body=body, presented="r1"))
    with pytest.raises(Unavailable):
        desk.renewal.plan(refused)
    desk.now += 1.1
    assert desk.renewal.plan(refused).is_leader


def test_a_login_without_a_token_leaves_no_session() -> None:
    """Neither the new tokens nor the earlier ones are used."""
    desk = Desk()
    with pytest.raises(MalformedToken):
        desk.renewal.sign_in(ClientTokens(access_token="garbage", refresh_token="r"))
    assert desk.renewal.fresh_token() == ""
    with pytest.raises(SignedOut):
        desk.renewal.plan()


def test_of_two_answers_to_one_token_the_later_successor_stays() -> None:
    """An abandoned renewal may bring the newer one: the server has superseded the other."""
    desk = Desk()
    lost = desk.lead()
    desk.now += 30
    desk.renewal.settle(desk.lead(), desk.answer(2))
    desk.renewal.settle(lost, desk.answer(3))
    assert desk.sequence() == 3
    desk.renewal.settle(lost, desk.answer(2))
    assert desk.sequence() == 3


def test_a_successor_is_taken_up_only_if_it_is_one() -> None:
    """It expires later, names the same session and user, is a JWT, and may be a header."""
    desk = Desk()
    good = pair(desk.now, 1200, 1).access_token
    for bad in (
        pair(desk.now, 100, 1).access_token,
        pair(desk.now, 1200, 1, sub="mallory").access_token,
        pair(desk.now, 1200, 1, sid="s2").access_token,
        good + "\r\nX-Evil: 1",
        good + " ",
        good + "A" * 16_384,
        good.replace(".", ".é"),
        "nonsense",
    ):
        assert not desk.renewal.adopt(bad), bad
    assert desk.renewal.adopt(good)
    assert desk.renewal.tokens is not None
    assert desk.renewal.tokens.access_token == good
    assert desk.renewal.tokens.refresh_token == "r1"


def test_a_storage_that_fails_costs_neither_request_nor_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The disk is full: it is logged once, without the token."""

    class Full(MemoryStorage):
        def save(self, tokens: ClientTokens | None) -> None:
            if tokens is not None and tokens.sequence > 1:
                raise OSError("no space left")
            super().save(tokens)

    desk = Desk(Full())
    desk.renewal.settle(desk.lead(), desk.answer(2))
    desk.renewal.save()
    assert desk.sequence() == 2
    assert [record.getMessage() for record in caplog.records] == [
        "the tokens could not be saved: OSError"
    ]


def test_what_another_process_has_kept_is_taken_up() -> None:
    """Later tokens of the session, or another session of the user; not those of another user."""
    storage = MemoryStorage()
    desk = Desk(storage)
    assert not desk.renewal.reload()
    for other, is_taken in (
        (pair(desk.now, 900, 0), False),
        (pair(desk.now, 900, 9, sub="mallory"), False),
        (ClientTokens(access_token="garbage", refresh_token="g", sequence=4), False),
        (None, False),
        (pair(desk.now, 900, 2), True),
        (pair(desk.now, 900, 0, sid="s2"), True),
    ):
        storage.tokens = other
        assert desk.renewal.reload() is is_taken
        assert (desk.renewal.tokens == other) is is_taken
    assert not desk.renewal.reload()


def test_the_end_of_a_session_leaves_another_process_login_alone() -> None:
    """Only the tokens that this process saved are removed."""
    storage = MemoryStorage()
    desk = Desk(storage)
    storage.tokens = other = pair(desk.now, 900, 0, sub="bob")
    body = {"error": "invalid_grant"}
    desk.renewal.settle(desk.lead(), PostResponse(status=400, body=body, presented="r1"))
    desk.renewal.save()
    assert storage.tokens == other
    with pytest.raises(SignedOut, match="refused the refresh token"):
        desk.renewal.plan()


def test_a_refresh_token_alone_is_enough_to_begin() -> None:
    """A storage may keep no access token; the first request then waits for one."""
    renewal = TokenRenewal(storage=MemoryStorage(ClientTokens(access_token="", refresh_token="r1")))
    plan = renewal.plan()
    assert (plan.token, plan.is_leader) == ("", True)
    assert plan.flight is not None
    body = msgspec.to_builtins(pair(time.time(), 900, 2))
    renewal.settle(plan.flight, PostResponse(status=200, body=body, presented="r1"))
    assert renewal.plan().token


@pytest.mark.parametrize("refresh_in", [None, 600.0])
@pytest.mark.parametrize("left", [250, 20, 1])
def test_a_stored_token_near_its_end_is_renewed(left: float, refresh_in: float | None) -> None:
    """Its life began at ``iat``: what is left of it when a program starts is no new life."""
    kept = msgspec.structs.replace(pair(time.time() + left - 900, 900, 1), refresh_in=refresh_in)
    plan = TokenRenewal(storage=MemoryStorage(kept)).plan()
    assert plan.is_leader
    assert bool(plan.token) == (left > 30)


def test_a_stored_token_far_from_its_end_is_sent() -> None:
    """Starting a program is no reason to renew."""
    kept = pair(time.time() - 100, 900, 1)
    assert TokenRenewal(storage=MemoryStorage(kept)).fresh_token() == kept.access_token


def test_tokens_are_kept_in_a_private_file(tmp_path: Path) -> None:
    """Mode 0600, atomic, removed at sign-out; a damaged file counts as empty."""
    storage = FileStorage(tmp_path / "tokens.json")
    assert storage.load() is None
    desk = pair(1_800_000_000, 900, 3)
    renewal = TokenRenewal(desk, storage=storage)
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert storage.load() == desk
    assert TokenRenewal(storage=storage).tokens == desk
    assert desk.refresh_token not in repr(desk)
    assert renewal.sign_out() == desk
    assert storage.load() is None
    (tmp_path / "tokens.json").write_text("{")
    assert storage.load() is None
    with pytest.raises(SignedOut):
        TokenRenewal(storage=MemoryStorage()).plan()


@pytest.mark.parametrize(
    "token", ["", "a", "a.b.c", "a.e30.c", "a.eyJleHAiOiJ4In0.c", "a.eyJleHAiOjFlOTk5fQ.c"]
)
def test_a_malformed_access_token_is_refused(token: str) -> None:
    """A client reads exp without verification, but only from a JWT."""
    with pytest.raises(MalformedToken):
        read_claims(token)


def test_a_malformed_refresh_url_is_refused() -> None:
    """At construction, before anything is sent."""
    for url in ("", "/refresh", "ftp://x/refresh", "https://x:99999/refresh", "https:///x"):
        with pytest.raises(ConfigurationError):
            RefreshingAuth(url)
