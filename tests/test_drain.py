"""The body of a refused request is read within bounds, or the connection is closed."""

import asyncio
from typing import Any

import pytest

from asgi import Answer, App, http
from linqi import (
    ANONYMOUS,
    JWTMiddleware,
    Key,
    Person,
    RequireScopes,
    SessionRoutes,
    Sessions,
    Verifier,
)
from linqi.asgi.drain import Drain
from linqi.stores.memory import MemoryStore
from tokens import signer_of

SIGNER = signer_of(Key.generate("HS256"))
CHUNKED = (b"transfer-encoding", b"chunked")


class Client:
    """Sends a body in pieces, for ever where it has no end."""

    def __init__(self, *pieces: bytes, is_endless: bool = False) -> None:
        self.pieces = list(pieces)
        self.is_endless = is_endless
        self.sent = 0

    async def receive(self) -> dict[str, Any]:
        """Send the next piece."""
        await asyncio.sleep(0)
        piece = self.pieces[0] if self.is_endless else self.pieces.pop(0)
        self.sent += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}


async def post(app: Any, client: Client, *headers: tuple[bytes, bytes], **scope: Any) -> Answer:
    """Post what `client` sends, without a token."""
    answer = Answer()
    request = http(scope.pop("path", "/me"), method="POST", headers=headers, **scope)
    await app(request, client.receive, answer.send)
    return answer


def guarded() -> JWTMiddleware:
    """Return an application that every request needs a token for."""
    return JWTMiddleware(App(), Verifier.trusting(SIGNER))


@pytest.mark.parametrize("length", [b"10", b"65536"])
async def test_a_small_body_is_read_before_the_refusal(length: bytes) -> None:
    """The connection can be used again, so nothing is said of closing it."""
    client = Client(*[b"x" * (int(length) // 2)] * 2)
    answer = await post(guarded(), client, (b"content-length", length))
    assert (answer.status, client.sent) == (401, int(length))
    assert answer.header("connection") is None


@pytest.mark.parametrize(
    "header",
    [
        *((b"content-length", value) for value in (b"65537", b"9" * 30, b"-1", b"1_0")),
        (b"expect", b"100-continue"),
    ],
)
async def test_a_large_or_announced_body_is_refused_at_once(header: tuple[bytes, bytes]) -> None:
    """Not a byte is read; on HTTP/1.1 the connection is closed, which HTTP/2 does not know."""
    for version, connection in (("1.1", "close"), ("1.0", "close"), ("2", None), ("3", None)):
        client = Client(b"x" * 10)
        answer = await post(guarded(), client, header, CHUNKED, http_version=version)
        assert (answer.status, client.sent) == (401, 0)
        assert answer.header("connection") == connection


async def test_a_body_without_end_is_read_to_the_bound() -> None:
    """A chunked body has no declared length: 64 KiB and what is one read more."""
    client = Client(b"x" * 16_384, is_endless=True)
    answer = await post(guarded(), client, CHUNKED)
    assert (answer.status, answer.header("connection")) == (401, "close")
    assert client.sent == 65_536 + 16_384


async def test_a_request_without_a_body_is_not_read() -> None:
    """A GET costs no receive; on HTTP/2, where a body needs no header, it does."""
    client = Client(b"")
    assert (await post(guarded(), client)).status == 401
    assert (await post(guarded(), client, (b"content-length", b"0"))).status == 401
    assert len(client.pieces) == 1
    assert (await post(guarded(), client, http_version="2")).status == 401
    assert client.pieces == []


async def test_a_slow_body_is_given_up() -> None:
    """The response is sent when the time is over."""
    drain = Drain(seconds=0.01)

    async def receive() -> Any:
        await asyncio.Event().wait()

    assert await drain(http(headers=[CHUNKED]), receive) == ((b"connection", b"close"),)


async def test_only_so_many_bodies_are_read_at_a_time() -> None:
    """The next request is refused at once; when the others are done, bodies are read again."""
    drain, gate = Drain(at_once=2, seconds=20), asyncio.Event()
    scope = http(headers=[CHUNKED])

    async def receive() -> dict[str, Any]:
        await gate.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    waiting = [asyncio.create_task(drain(scope, receive)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await drain(scope, receive) == ((b"connection", b"close"),)
    gate.set()
    assert await asyncio.gather(*waiting) == [(), ()]
    assert await drain(scope, receive) == ()


async def test_guards_read_what_they_refuse() -> None:
    """A 403 for want of a scope is a refusal as well."""
    client = Client(b"x" * 10)
    answer = await post(
        RequireScopes(App(), "admin"), client, (b"content-length", b"10"), linqi=ANONYMOUS
    )
    assert (answer.status, client.sent) == (401, 10)


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/login", b"text/plain", 415),
        ("/login", b"application/json", 413),
        ("/sessions", b"application/json", 405),
        ("/logout", b"", 204),
    ],
)
async def test_session_routes_leave_no_body_unread(path: str, kind: bytes, status: int) -> None:
    """Every response arrives: the rest is read, or the connection is closed."""
    sessions = Sessions(MemoryStore(), SIGNER, b"k" * 16 + bytes(range(16)))
    verifier = Verifier.trusting(SIGNER)
    routes = SessionRoutes(
        App(), sessions, verifier, lambda form: Person(subject="alice"), throttle=None
    )
    kinds = [(b"content-type", kind)] if kind else []
    client = Client(*[b"x" * 8000] * 4)
    answer = await post(routes, client, *kinds, (b"content-length", b"32000"), path=path)
    assert (answer.status, client.sent, answer.header("connection")) == (status, 32_000, None)
    client = Client(b"x" * 8000, is_endless=True)
    answer = await post(routes, client, *kinds, CHUNKED, path=path)
    assert (answer.status, answer.header("connection")) == (status, "close")
