"""Event streams: ended with their token or session, and no other response is touched."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from asgi import http
from clock import FakeClock
from linqi import (
    JWTMiddleware,
    Key,
    LinqiError,
    SlidingRenewal,
    StreamClosedError,
    TokenError,
    Verifier,
)
from linqi.events import StreamClosed
from tokens import good_claims, make, signer_of

KEY = Key.generate("HS256")
SIGNER = signer_of(KEY)
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
END = {"type": "http.response.body", "body": b"", "more_body": False}


class Connection:
    """The server's side of one request in memory; it never says of itself that it is over."""

    def __init__(self, token: str, **scope: Any) -> None:
        self.scope = http("/events", token=token, asgi={"spec_version": "2.3"}) | scope
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.is_read = False

    async def receive(self) -> dict[str, Any]:
        """Return an empty body, then wait until the client disconnects."""
        if not self.is_read:
            self.is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Take what the application sends."""
        self.sent.append(message)

    async def run(self, middleware: JWTMiddleware) -> None:
        """Serve the request to its end."""
        await asyncio.wait_for(middleware(self.scope, self.receive, self.send), 10)

    async def started(self, messages: int = 1) -> None:
        """Wait until so much was sent."""
        async with asyncio.timeout(30):
            while len(self.sent) < messages:
                await asyncio.sleep(0.001)


def ticker(headers: Any = EVENTS, heard: list[Any] | None = None) -> Any:
    """Return an application that sends one event and waits for the disconnect."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        message = await receive()
        if heard is not None:
            heard.append(message)

    return app


def wrap(
    app: Any, clock: FakeClock, heard: list[Any] | None = None, **options: Any
) -> JWTMiddleware:
    """Wrap `app`, looking at open streams every few milliseconds."""
    verifier = Verifier.trusting(SIGNER, clock=clock, **options.pop("verifier", {}))
    hooks = [(heard if heard is not None else []).append]
    return JWTMiddleware(
        app, verifier, clock=clock, **{"check_seconds": 0.005, "hooks": hooks} | options
    )


def issue(clock: FakeClock, subject: str = "alice") -> Any:
    """Sign a user in."""
    return SlidingRenewal(SIGNER, clock=clock).start(subject)


async def test_a_stream_ends_when_the_grace_after_its_expiry_is_over(clock: FakeClock) -> None:
    """The body ends, the application gets a disconnect, the operator an event."""
    events: list[Any] = []
    heard: list[Any] = []
    issued = issue(clock)
    connection = Connection(issued.token)
    serving = asyncio.create_task(connection.run(wrap(ticker(heard=heard), clock, events)))
    await connection.started(2)
    clock.now = issued.expires_at + 59.9
    await asyncio.sleep(0.05)
    assert not serving.done()
    clock.now = issued.expires_at + 60
    await serving
    assert connection.sent[2:] == [END]
    assert heard == [{"type": "http.disconnect"}]
    assert events == [StreamClosed(user="alice", code="token_expired", path="/events")]


@pytest.mark.parametrize(
    ("grace", "session", "lasts"),
    [(60, 10, 10), (5, 10, 5), (0, 10, 0), (60, 0, 0), (60, -1, 0), (60, ..., 60)],
)
async def test_r1_the_grace_never_outlives_the_session(
    clock: FakeClock, grace: float, session: Any, lasts: float
) -> None:
    """A session that ends 10 s after its token ends the stream then, whatever the grace."""
    expires_at = int(clock.now) + 600
    ends_at = ... if session is ... else expires_at + session
    token = make(KEY, good_claims(exp=expires_at, session_end=ends_at))
    end = expires_at + lasts
    connection = Connection(token)
    app = wrap(ticker(), clock, stream_grace_seconds=grace)
    serving = asyncio.create_task(connection.run(app))
    await connection.started(2)
    clock.now = end - 0.01
    await asyncio.sleep(0.05)
    assert not serving.done()
    clock.now = end
    await serving
    assert connection.sent[-1] == END


async def test_a_revocation_ends_a_stream_also_within_the_grace(clock: FakeClock) -> None:
    """is_revoked is asked every check_seconds, before exp and after it."""
    for seconds in (0, 30):
        revoked = False
        issued = issue(clock)
        events: list[Any] = []
        options = {"is_revoked": lambda verified: revoked}  # noqa: B023 - asked within this round
        connection = Connection(issued.token)
        app = wrap(ticker(), clock, events, verifier=options)
        serving = asyncio.create_task(connection.run(app))
        await connection.started(2)
        clock.now = issued.expires_at + seconds - 15
        await asyncio.sleep(0.05)
        assert not serving.done()
        revoked = True
        await serving
        assert connection.sent[-1] == END
        assert events == [StreamClosed(user="alice", code="token_revoked", path="/events")]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/json"), (b"x-note", b"text/event-stream")],
        [(b"content-type", b"text/event-stream"), (b"content-length", b"1000000")],
        [(b"Content-Length", b"1000000"), (b"Content-Type", b"text/event-stream")],
        [],
    ],
)
async def test_other_responses_are_left_alone(clock: FakeClock, headers: Any) -> None:
    """A download continues after exp, and so does a response with a declared length."""
    issued = issue(clock)
    connection = Connection(issued.token)
    events: list[Any] = []
    serving = asyncio.create_task(connection.run(wrap(ticker(headers), clock, events)))
    await connection.started(2)
    clock.now = issued.expires_at + 1000
    await asyncio.sleep(0.05)
    assert not serving.done()
    connection.gone.set()
    await serving
    assert (len(connection.sent), events) == (2, [])


async def test_streams_may_be_left_alone_altogether(clock: FakeClock) -> None:
    """With end_streams off nothing is wrapped, and there is nothing to adopt."""
    issued = issue(clock)
    connection = Connection(issued.token)
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope.get("linqi.stream"), receive, send))

    await connection.run(wrap(app, clock, end_streams=False))
    assert seen == [(None, connection.receive, connection.send)]


@pytest.mark.parametrize(
    "headers",
    [
        lambda: [(b"Content-Type", b"Text/Event-Stream")],
        lambda: iter([[b"content-type", b"text/event-stream"]]),
        lambda: [iter([b"content-type", b"text/event-stream"])],
        lambda: [(b"x-note", b"1"), iter([b"content-type", b"text/event-stream"])],
        lambda: [(b"x-note", b"1"), [b"content-type", b"text/event-stream"]],
    ],
)
async def test_a_stream_is_known_however_its_headers_are_written(
    clock: FakeClock, headers: Callable[[], Any]
) -> None:
    """Headers may be any iterable of two, and the server still sees them."""
    issued = issue(clock)
    connection = Connection(issued.token)
    serving = asyncio.create_task(connection.run(wrap(ticker(headers()), clock)))
    await connection.started(2)
    sent = {name.lower(): value.lower() for name, value in connection.sent[0]["headers"]}
    assert sent[b"content-type"] == b"text/event-stream"
    clock.now = issued.expires_at + 60
    await serving
    assert connection.sent[-1] == END


@pytest.mark.parametrize(("version", "raises"), [("2.3", False), ("2.4", True), ("2.10", True)])
async def test_what_is_sent_after_the_end_is_dropped_or_raises(
    clock: FakeClock, version: str, raises: bool
) -> None:
    """As the server does for a client that is gone: from ASGI 2.4 on a send raises OSError."""
    issued = issue(clock)
    ended = asyncio.Event()
    outcome: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        clock.now = issued.expires_at + 60
        await ended.wait()
        try:
            await send({"type": "http.response.body", "body": b"late", "more_body": True})
        except StreamClosedError as error:
            outcome.append(error)

    connection = Connection(issued.token, asgi={"spec_version": version})
    serving = asyncio.create_task(connection.run(wrap(app, clock)))
    await connection.started(2)
    ended.set()
    await serving
    assert connection.sent[1:] == [END]
    assert [isinstance(error, OSError) for error in outcome] == ([True] if raises else [])


async def test_only_a_successor_in_band_keeps_a_stream_open(clock: FakeClock) -> None:
    """Adopt takes only a later token of the same session."""
    renewal = SlidingRenewal(SIGNER, clock=clock)
    issued = renewal.start("alice")
    first = Verifier.trusting(SIGNER, clock=clock).verify(issued.token)
    adopted = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        stream = scope["linqi.stream"]
        with pytest.raises(LinqiError, match="no event stream"):
            stream.adopt(issued.token)
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        for stranger in (issue(clock).token, issue(clock, "bob").token, "bad"):
            with pytest.raises(TokenError):
                stream.adopt(stranger)
        assert stream.verified == first
        clock.now = first.expires_at - 100
        successor = await renewal.renew(first)
        assert successor
        assert stream.adopt(successor.token).expires_at == successor.expires_at
        assert stream.verified.expires_at == successor.expires_at
        clock.now = first.expires_at + 100
        adopted.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    connection = Connection(issued.token)
    serving = asyncio.create_task(connection.run(wrap(app, clock)))
    await adopted.wait()
    await asyncio.sleep(0.05)
    assert not serving.done()
    clock.move(2000)
    await serving
    assert connection.sent[-1] == END


async def test_a_stream_that_ends_by_itself_is_not_ended_again(clock: FakeClock) -> None:
    """The application's own end, its error and the client's going leave no event and no task."""
    issued = issue(clock)
    events: list[Any] = []

    async def finishes(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        await send({"type": "http.response.body", "body": b"data: 1\n\n"})
        clock.now = issued.expires_at + 1000
        await asyncio.sleep(0.02)

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        raise ValueError("the application's own")

    started = clock.now
    for app, length in ((finishes, 2), (breaks, 1)):
        clock.now = started
        connection = Connection(issued.token)
        with contextlib.suppress(ValueError):
            await connection.run(wrap(app, clock, events))
        assert len(connection.sent) == length
    clock.now = started
    connection = Connection(issued.token)
    connection.gone.set()
    await connection.run(wrap(ticker(), clock, events))
    assert len(connection.sent) == 2
    assert events == []
    assert len(asyncio.all_tasks()) == 1


async def test_an_end_that_cannot_be_sent_is_no_event(clock: FakeClock) -> None:
    """A client that is gone was not ended by us; the application still gets its disconnect."""
    issued = issue(clock)
    events: list[Any] = []
    heard: list[Any] = []

    class Lost(Connection):
        async def send(self, message: Any) -> None:
            if message == END:
                raise ConnectionResetError("the client is gone")
            await super().send(message)

    connection = Lost(issued.token)
    serving = asyncio.create_task(connection.run(wrap(ticker(heard=heard), clock, events)))
    await connection.started(2)
    clock.now = issued.expires_at + 60
    await serving
    assert (heard, events) == ([{"type": "http.disconnect"}], [])


async def test_a_starlette_stream_is_ended(clock: FakeClock) -> None:
    """Its generator is cancelled by the disconnect, which it waited for before the start."""
    issued = issue(clock)
    cancelled = asyncio.Event()

    async def events(request: Request) -> StreamingResponse:
        async def ticks() -> Any:
            try:
                while True:
                    yield "data: 1\n\n"
                    await asyncio.sleep(0.005)
            finally:
                cancelled.set()

        return StreamingResponse(ticks(), media_type="text/event-stream")

    app = wrap(Starlette(routes=[Route("/events", events)]), clock)
    connection = Connection(issued.token)
    serving = asyncio.create_task(connection.run(app))
    await connection.started(3)
    clock.now = issued.expires_at + 60
    await serving
    assert connection.sent[-1] == END
    assert cancelled.is_set()


async def test_a_renewed_response_is_a_stream_as_well(clock: FakeClock) -> None:
    """A successor in the response's own header extends nothing: only adopt does."""
    renewal = SlidingRenewal(SIGNER, clock=clock)
    issued = renewal.start("alice")
    clock.move(issued.refresh_in + 1)
    connection = Connection(issued.token)
    app = wrap(ticker(), clock, renewal=renewal)
    serving = asyncio.create_task(connection.run(app))
    await connection.started(2)
    assert b"x-refresh-token" in dict(connection.sent[0]["headers"])
    clock.now = issued.expires_at + 60
    await serving
    assert connection.sent[-1] == END
