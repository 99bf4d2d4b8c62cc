"""WebSockets: refused before they are accepted, closed with 4401 when their token ends."""

import asyncio
import contextlib
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from asgi import served
from clock import FakeClock
from linqi import (
    CookieTransport,
    HeaderTransport,
    JWTMiddleware,
    Key,
    NamedHeaderTransport,
    RenewalSettings,
    SlidingRenewal,
    SocketClosedError,
    SubprotocolTransport,
    TokenError,
    Verifier,
)
from linqi.errors import StaleClaims
from linqi.events import SocketClosed
from linqi.testing import Clock
from tokens import signer_of

SIGNER = signer_of(Key.generate("HS256"))


class Peer:
    """The server's side of a socket in memory."""

    def __init__(self, token: str | None = None, **scope: Any) -> None:
        headers = [(b"authorization", b"Bearer " + token.encode())] if token else []
        place = {"type": "websocket", "path": "/ws", "root_path": ""}
        self.scope = place | {"headers": headers, "subprotocols": []} | scope
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.sent: list[dict[str, Any]] = []

    async def send(self, message: Any) -> None:
        """Take what the application sends."""
        self.sent.append(message)

    async def run(self, middleware: JWTMiddleware) -> None:
        """Serve the socket to its end."""
        await asyncio.wait_for(middleware(self.scope, self.incoming.get, self.send), 10)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept, and send back every message until the end."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})
    scope["ended"].append(message["code"])


def wrap(app: Any, clock: FakeClock, heard: list[Any] | None = None, **options: Any) -> Any:
    """Wrap `app`, looking at open sockets every few milliseconds."""
    verifier = Verifier.trusting(SIGNER, clock=clock, **options.pop("verifier", {}))
    hooks = [] if heard is None else [heard.append]
    return JWTMiddleware(app, verifier, clock=clock, check_seconds=0.005, hooks=hooks, **options)


def token_for(clock: FakeClock, subject: str = "alice") -> str:
    """Sign a user in."""
    return SlidingRenewal(SIGNER, clock=clock).start(subject).token


@pytest.mark.parametrize("token", [None, "bad"])
async def test_h6_a_refusal_is_401_before_accept_where_the_server_can(
    clock: FakeClock, token: str | None
) -> None:
    """With websocket.http.response the client gets the challenge, else a close with 1008."""
    able = Peer(token, extensions={"websocket.http.response": {}})
    await able.run(wrap(echo, clock))
    assert [message["type"] for message in able.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert able.sent[0]["status"] == 401
    assert dict(able.sent[0]["headers"])[b"www-authenticate"].startswith(b"Bearer realm=")
    unable = Peer(token)
    await unable.run(wrap(echo, clock))
    assert unable.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


async def test_a_socket_is_closed_with_4401_when_its_token_expires(clock: FakeClock) -> None:
    """The application sees a disconnect with that code, the operator an event."""
    heard: list[Any] = []
    peer = Peer(token_for(clock), ended=[])
    serving = asyncio.create_task(peer.run(wrap(echo, clock, heard)))
    peer.incoming.put_nowait({"type": "websocket.receive", "text": "hello"})
    while len(peer.sent) < 2:
        await asyncio.sleep(0.001)
    clock.move(1000)
    await serving
    assert peer.sent[1] == {"type": "websocket.send", "text": "hello"}
    assert peer.sent[-1] == {"type": "websocket.close", "code": 4401, "reason": "token expired"}
    assert peer.scope["ended"] == [4401]
    assert heard == [SocketClosed(user="alice", code="token_expired", path="/ws")]


class SlowPeer(Peer):
    """A server that needs a while to send, and whose peer may be lost."""

    def __init__(self, token: str, *, is_lost: bool = False) -> None:
        super().__init__(token, ended=[])
        self.is_lost = is_lost

    async def send(self, message: Any) -> None:
        """Take what the application sends, after other tasks had their turns."""
        for _ in range(5):
            await asyncio.sleep(0)
        if self.is_lost and message["type"] == "websocket.close":
            raise ConnectionResetError("the peer is gone")
        await super().send(message)


async def test_the_close_is_sent_although_the_application_returns_at_once(clock: FakeClock) -> None:
    """The application receives the end after the close is sent; its return cancels nothing."""
    heard: list[Any] = []
    peer = SlowPeer(token_for(clock))
    serving = asyncio.create_task(peer.run(wrap(echo, clock, heard)))
    while not peer.sent:
        await asyncio.sleep(0.001)
    clock.move(1000)
    await serving
    assert peer.sent[-1] == {"type": "websocket.close", "code": 4401, "reason": "token expired"}
    assert [type(event) for event in heard] == [SocketClosed]
    assert peer.scope["ended"] == [4401]


async def test_a_close_that_was_not_sent_is_no_event(clock: FakeClock) -> None:
    """No event says that a lost peer was closed; the application still receives the end."""
    heard: list[Any] = []
    peer = SlowPeer(token_for(clock), is_lost=True)
    serving = asyncio.create_task(peer.run(wrap(echo, clock, heard)))
    while not peer.sent:
        await asyncio.sleep(0.001)
    clock.move(1000)
    await serving
    assert heard == []
    assert peer.scope["ended"] == [4401]


async def test_a_message_that_comes_after_the_end_is_not_delivered(clock: FakeClock) -> None:
    """While the close is being sent the application receives nothing but the disconnect."""
    peer = SlowPeer(token_for(clock))
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        clock.move(1000)
        with contextlib.suppress(SocketClosedError):
            while True:
                await send({"type": "websocket.send", "text": "tick"})
        peer.incoming.put_nowait({"type": "websocket.receive", "text": "late"})
        got.append(await receive())

    await peer.run(wrap(app, clock))
    assert got == [{"type": "websocket.disconnect", "code": 4401, "reason": ""}]


async def test_a_revoked_session_closes_its_sockets(clock: FakeClock) -> None:
    """is_revoked is asked while the socket is open."""
    revoked = False
    middleware = wrap(echo, clock, verifier={"is_revoked": lambda verified: revoked})
    peer = Peer(token_for(clock), ended=[])
    serving = asyncio.create_task(peer.run(middleware))
    while not peer.sent:
        await asyncio.sleep(0.001)
    revoked = True
    await serving
    assert peer.sent[-1] == {"type": "websocket.close", "code": 4401, "reason": "session ended"}


async def test_k9_changed_claims_close_the_sockets_of_their_subject(clock: FakeClock) -> None:
    """The client renews its token and connects again; the close code is that of an ended token."""
    is_changed = False

    def is_revoked(verified: Any) -> bool:
        if is_changed:
            raise StaleClaims(verified, 9e9)
        return False

    middleware = wrap(echo, clock, verifier={"is_revoked": is_revoked})
    peer = Peer(token_for(clock), ended=[])
    serving = asyncio.create_task(peer.run(middleware))
    while not peer.sent:
        await asyncio.sleep(0.001)
    is_changed = True
    await serving
    assert peer.sent[-1] == {"type": "websocket.close", "code": 4401, "reason": "claims changed"}


async def test_sending_after_the_end_raises_oserror(clock: FakeClock) -> None:
    """As ASGI 2.4 asks of a server whose connection is gone."""
    raised: list[Exception] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        clock.move(1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                while not raised:
                    try:
                        await send({"type": "websocket.send", "text": "tick"})
                    except SocketClosedError as error:
                        raised.append(error)
                    await asyncio.sleep(0.001)

    await Peer(token_for(clock)).run(wrap(app, clock))
    assert isinstance(raised[0], OSError)


async def test_a_message_is_not_lost_when_the_application_stops_waiting(clock: FakeClock) -> None:
    """A receive that is cancelled leaves its message for the next one."""
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        peer.incoming.put_nowait({"type": "websocket.receive", "text": "kept"})
        got.append(await receive())

    peer = Peer(token_for(clock))
    await peer.run(wrap(app, clock))
    assert got == [{"type": "websocket.receive", "text": "kept"}]


async def test_a_successor_in_band_keeps_the_socket_open(clock: FakeClock) -> None:
    """Adopt takes only a later token of the same session."""
    renewal = SlidingRenewal(SIGNER, clock=clock)
    verifier = Verifier.trusting(SIGNER, clock=clock)
    issued = renewal.start("alice")
    first = verifier.verify(issued.token)
    adopted = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        guard = scope["linqi.socket"]
        for stranger in (token_for(clock), token_for(clock, "bob"), "bad"):
            with pytest.raises(TokenError):
                guard.adopt(stranger)
        assert guard.verified == first
        clock.now = first.expires_at - 100
        successor = await renewal.renew(first)
        assert successor
        assert guard.adopt(successor.token).expires_at == successor.expires_at
        guard.adopt(issued.token)
        assert guard.verified.expires_at == successor.expires_at, "an older one changes nothing"
        clock.now = first.expires_at + 1
        adopted.set()
        while (message := await receive())["type"] != "websocket.disconnect":
            pass
        scope["ended"].append(message["code"])

    peer = Peer(issued.token, ended=[])
    serving = asyncio.create_task(peer.run(wrap(app, clock)))
    await adopted.wait()
    await asyncio.sleep(0.05)
    assert not serving.done()
    clock.move(2000)
    await serving
    assert peer.scope["ended"] == [4401]


async def test_a_token_in_the_subprotocols_is_taken_out_of_them(clock: FakeClock) -> None:
    """The application sees its own protocols; the marker is selected if it selects none."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["subprotocols"], scope["headers"], scope["user"].identity))
        await send({"type": "websocket.accept", "subprotocol": scope.get("choose")})

    for choose, selected in ((None, "bearer"), ("chat", "chat")):
        offered = ["chat", "bearer", token_for(clock)]
        header = (b"sec-websocket-protocol", ", ".join(offered).encode())
        peer = Peer(subprotocols=offered, headers=[header, (b"host", b"x")], choose=choose)
        await peer.run(wrap(app, clock, transports=[HeaderTransport(), SubprotocolTransport()]))
        assert peer.sent[0]["subprotocol"] == selected
        assert seen.pop() == (["chat"], [(b"host", b"x")], "alice")


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [(b"https://app.test", True), (b"https://evil.test", False), (None, False)],
)
async def test_h6_a_cookie_opens_a_socket_only_for_listed_origins(
    clock: FakeClock, origin: bytes | None, is_let_in: bool
) -> None:
    """Cross-site WebSocket hijacking: a browser sends the cookie along, so Origin decides."""
    headers = [(b"cookie", b"__Host-access=" + token_for(clock).encode())]
    headers += [(b"origin", origin)] if origin else []
    peer = Peer(headers=headers, ended=[])
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.run(wrap(echo, clock, transports=[CookieTransport(["https://app.test"])]))
    assert peer.sent[0]["type"] == ("websocket.accept" if is_let_in else "websocket.close")


async def test_public_sockets_need_no_token(clock: FakeClock) -> None:
    """A public path is open for WebSockets as well."""
    peer = Peer(ended=[])
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.run(wrap(echo, clock, public=["/ws"]))
    assert peer.sent == [{"type": "websocket.accept"}]


async def test_a_real_server_closes_a_real_socket_at_expiry() -> None:
    """Uvicorn and a real client: 401 without a token, messages with one, 4401 when it ends."""

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{websocket.user.identity}: {text}")

    clock = Clock()  # it runs on, and is moved to the end when the messages have come
    settings = RenewalSettings(lifetime=60, buffer=20, whole_seconds=False)
    renewal = SlidingRenewal(SIGNER, settings, clock=clock)
    app = JWTMiddleware(
        Starlette(routes=[WebSocketRoute("/ws", chat)]),
        Verifier.trusting(SIGNER, clock=clock),
        renewal=renewal,
        transports=[HeaderTransport(), SubprotocolTransport()],
        clock=clock,
        check_seconds=0.005,
    )
    async with served(app) as port:
        url = f"ws://127.0.0.1:{port}/ws"
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url)
        assert refused.value.response.status_code == 401
        issued = renewal.start("alice")
        protocols = [websockets.Subprotocol(name) for name in ("bearer", issued.token)]
        async with websockets.connect(url, subprotocols=protocols) as client:
            assert client.subprotocol == "bearer"
            await client.send("hello")
            assert await client.recv() == "alice: hello"
            clock.move_to(issued.expires_at - 0.2)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(client.recv(), 30)
        assert clock() >= issued.expires_at
        assert closed.value.rcvd
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "token expired")


async def test_a_named_header_opens_a_socket_on_a_real_server() -> None:
    """A proxy's header counts in the handshake, once, and from a listed origin only."""
    renewal = SlidingRenewal(SIGNER)
    app = JWTMiddleware(
        echo,
        Verifier.trusting(SIGNER),
        renewal=renewal,
        transports=[NamedHeaderTransport("X-Goog-IAP-JWT-Assertion", origins=["https://a.test"])],
    )
    token = ("X-Goog-IAP-JWT-Assertion", renewal.start("alice").token)
    good, bad = ("Origin", "https://a.test"), ("Origin", "https://evil.test")
    refusals = {
        400: ([token, token, good], [token, bad], [token]),
        401: ([good], [("Authorization", f"Bearer {token[1]}"), good]),
    }
    async with served(app) as port:
        url = f"ws://127.0.0.1:{port}/ws"
        async with websockets.connect(url, additional_headers=[token, good]) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        for status, tries in refusals.items():
            for headers in tries:
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await websockets.connect(url, additional_headers=headers)
                assert refused.value.response.status_code == status
