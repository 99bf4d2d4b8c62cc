"""Event streams, which are ended when their token or session ends."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from linqi import events
from linqi._background import BackgroundTask
from linqi.asgi._http import Message, Receive, Scope, Send
from linqi.asgi.token_hold import CLOSE_SECONDS, TokenHold
from linqi.errors import LinqiError
from linqi.events.dispatcher import Dispatcher
from linqi.jose.verified import Verified
from linqi.jose.verifier import Verifier

if TYPE_CHECKING:
    from linqi.events import Event

__all__ = ["LiveStream", "StreamClosedError", "StreamLimits", "StreamSession"]

_logger = logging.getLogger("linqi")
_RAISES_SINCE: Final = (2, 4)
"""The version of the ASGI HTTP specification from which a send to a lost client raises OSError."""


class StreamClosedError(OSError):
    """Raised where an application sends after its stream was ended (ASGI 2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """The limits of all event streams of one middleware.

    Attributes:
        verifier: Checks revocation, and the tokens that are adopted.
        grace_seconds: How long a stream outlives ``exp``, so that a successor can be adopted.
        check_seconds: How often revocation is checked.
        clock: Returns Unix seconds.
        report: Receives `StreamClosed`.

    """

    verifier: Verifier
    grace_seconds: float
    check_seconds: float
    clock: Callable[[], float]
    report: Dispatcher[Event]

    def hold(self, verified: Verified) -> TokenHold:
        """Return the hold of `verified` on a stream."""
        return TokenHold(
            self.verifier,
            verified,
            end_of=self._end_of,
            check_seconds=self.check_seconds,
            clock=self.clock,
        )

    def _end_of(self, verified: Verified) -> float:
        """Return ``exp`` and the grace, which never outlives the session (R1)."""
        end = verified.expires_at + self.grace_seconds
        session_end = verified.registered.session_end
        return end if session_end is None else max(verified.expires_at, min(end, session_end))


class StreamSession(msgspec.Struct, eq=False, weakref=True):
    """The guard of one response; the application finds it in ``scope["linqi.stream"]``.

    Every verified HTTP request has one, because the response decides whether it is a stream: a
    client that uses a stolen token can omit ``Accept``. Until the response starts as
    ``text/event-stream`` without a ``Content-Length`` nothing is checked, no task runs, and `send`
    returns what the server's own returns. A struct is created in less than half of the time of a
    class with slots.

    Attributes:
        live: What runs beside the application; None unless the response is a stream, or the
            application waits for the client to disconnect.

    """

    _limits: StreamLimits
    _opened_with: Verified
    _scope: Scope
    _receive: Receive
    _send: Send
    _is_read: bool = False
    live: LiveStream | None = None

    def __repr__(self) -> str:
        return f"<StreamSession of {self.verified!r}>"

    @property
    def verified(self) -> Verified:
        """The token that holds the stream open: the latest one adopted."""
        hold = None if self.live is None else self.live.hold
        return self._opened_with if hold is None else hold.verified

    def adopt(self, token: bytes | str) -> Verified:
        """Continue the stream under `token`, a successor of the same session.

        Returns:
            The verified `token`.

        Raises:
            TokenError: The token is not valid, or belongs to another subject or session
                (`InvalidClaim`). The stream stays open under the token it has.
            LinqiError: The response did not start as an event stream.

        """
        if self.live is None or self.live.hold is None:
            raise LinqiError("the response is no event stream that has started")
        return self.live.hold.adopt(token)

    def send(self, message: Message) -> Awaitable[None]:
        """Send `message`; after the end of a stream drop it or raise, as the server does."""
        # Ordinary responses are recognised here; every other start is decided in `_start`. Headers
        # are read by index, because a one-shot header then raises and is not used up.
        if "headers" in message:
            try:
                headers = message["headers"]
                if type(headers) is list:
                    for header in headers:
                        if header[0] == b"content-type":  # lower case (ASGI)
                            sixth = header[1][5]
                            if sixth == 101 or sixth == 69:  # text/e or text/E
                                break
                            send = self._send
                            return send(message)
            except (TypeError, IndexError):
                pass
            return self._start(message)
        send = self._send  # called as a method it would take 50 ns more
        return send(message)

    def _start(self, message: Message) -> Awaitable[None]:
        """Start the response: guarded if it is an event stream, otherwise as it is."""
        if message["type"] == "http.response.start" and not self._is_stream:
            headers = message["headers"]
            if type(headers) is not list or not all(type(header) is tuple for header in headers):
                headers = [tuple(header) for header in headers]
                message = {**message, "headers": headers}
            if _is_event_stream(headers):
                live = self._made_live()
                start = live.begin(message, self._limits.hold(self._opened_with))
                self._send = live.send_event
                return start
        return self._send(message)

    @property
    def _is_stream(self) -> bool:
        return self.live is not None and self.live.hold is not None

    async def receive(self) -> Message:
        """Return the next message; a disconnect once the stream has ended."""
        if self.live is None:
            if not self._is_read:
                message = await self._receive()
                self._is_read = not message.get("more_body", False)
                return message
            # The application waits for a disconnect, perhaps before it starts a stream.
            self._made_live()
        return await self._made_live().receive()

    def _made_live(self) -> LiveStream:
        if self.live is None:
            self.live = LiveStream(self._scope, self._receive, self._send, self._limits.report)
        return self.live


class LiveStream:
    """The reads, and for an event stream the watcher, of one response.

    Attributes:
        hold: The hold of the token on the stream; None while the response is not an event stream.

    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, report: Dispatcher[Event]
    ) -> None:
        self.hold: TokenHold | None = None
        self._scope = scope
        self._receive = receive
        self._send = send
        self._report = report
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lock = asyncio.Lock()
        self._watcher: BackgroundTask | None = None
        self._pending: asyncio.Future[Message] | None = None
        self._is_ending = False
        self._is_done = False
        self._has_trailers = False

    async def begin(self, message: Message, hold: TokenHold) -> None:
        """Start an event stream that ends with `hold`."""
        self.hold = hold
        self._has_trailers = bool(message.get("trailers", False))
        await self._send(message)
        watch = functools.partial(self._watch, hold)
        self._watcher = BackgroundTask("guard of an event stream", watch, events=self._report)
        self._watcher.start()

    async def send_event(self, message: Message) -> None:
        """Send `message` of a started stream; drop it or raise if the stream was ended."""
        async with self._lock:
            if not self._is_ending:
                await self._send(message)
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    self._is_done = True
                return
        version = str(self._scope.get("asgi", {}).get("spec_version", "2.0"))
        if tuple(int(part) for part in version.split(".")[:2]) >= _RAISES_SINCE:
            raise StreamClosedError("the stream was ended: its token expired or was revoked")

    async def receive(self) -> Message:
        """Return the server's next message, or a disconnect when the stream ends first."""
        if not self._over.done():
            # The read continues if the application stops waiting, so that no message is lost.
            pending = self._pending = self._pending or asyncio.ensure_future(self._receive())
            waits: set[asyncio.Future[Any]] = {pending, self._over}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not self._over.done():
                self._pending = None
                message = pending.result()
                self._is_done = self._is_done or message["type"] == "http.disconnect"
                return message
        return {"type": "http.disconnect"}

    async def close(self) -> None:
        """Cancel the watcher and the read; called when the application has returned."""
        if self._watcher is not None and self._is_ending:
            await self._watcher.wait()  # a server drops what is not sent by now
        self._is_done = True
        if self._pending is not None:
            self._pending.cancel()
        if self._watcher is not None:
            await self._watcher.close()

    async def _watch(self, hold: TokenHold) -> None:
        """End the stream when its token or session ends."""
        reason = await hold.ended()
        if self._is_done:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS), self._lock:
                if self._is_done:
                    return
                self._is_ending = True
                await self._send_end()
        except Exception as error:  # noqa: BLE001 - each server has its own exception for a lost peer
            self._is_ending = True
            _logger.debug("a stream could not be ended: %s", type(error).__name__)
        else:
            user, path = hold.verified.identity, self._scope["path"]
            self._report(events.StreamClosed(user=user, code=reason.code, path=path))
        finally:
            self._over.set_result(None)

    async def _send_end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._has_trailers:
            await self._send(
                {"type": "http.response.trailers", "headers": [], "more_trailers": False}
            )


def _is_event_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a response is an event stream whose body may end at any time.

    With a ``Content-Length`` it may not: ending it early would break its framing.
    """
    given = {name.lower(): value for name, value in headers}
    kind = given.get(b"content-type", b"")[:17].lower()
    return kind == b"text/event-stream" and b"content-length" not in given
