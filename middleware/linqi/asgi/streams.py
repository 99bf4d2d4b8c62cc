"""An event stream that lives no longer than the token or session it was opened with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from linqi.asgi._http import Message, Receive, Scope, Send
from linqi.asgi.holding import CLOSE_SECONDS, TokenHold
from linqi.errors import LinqiError, TokenError
from linqi.events import Event, StreamClosed
from linqi.jose.verified import Verified
from linqi.jose.verifier import Verifier

__all__ = ["StreamClosedError", "StreamLimits", "StreamSession"]

_logger = logging.getLogger("linqi")
_RAISES_SINCE: Final = (2, 4)
"""The version of the ASGI HTTP specification from which a send to a lost client raises OSError."""
_DISCONNECT: Final = {"type": "http.disconnect"}


class StreamClosedError(OSError):
    """Raised to an application that sends after its stream was ended (ASGI 2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """How long event streams may go on; all of one middleware share it."""

    verifier: Verifier
    grace_seconds: float
    """How long a stream outlives ``exp``, so that a successor on its way still finds it open."""
    check_seconds: float
    clock: Callable[[], float]
    tell: Callable[[Event], None]

    def hold(self, verified: Verified) -> TokenHold:
        """Return what tells when a stream opened with `verified` ends."""
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


class StreamSession:
    """The guarded side of one response; the application finds it in ``scope["linqi.stream"]``.

    Every verified HTTP request has one, because the response decides what it is: a client that
    keeps a stolen token need not say that it ``Accept``s event streams. Until the response starts
    as ``text/event-stream`` without a ``Content-Length`` nothing is checked, and `send` hands on
    what the server's own returns: 0.5 us of a request.
    """

    # Of the class until a stream begins, so that ordinary responses do not pay for them.
    _hold: TokenHold | None = None
    _lock: asyncio.Lock
    _watcher: asyncio.Task[None] | None = None
    _over: asyncio.Future[None] | None = None
    _pending: asyncio.Future[Message] | None = None
    _is_read = False
    _is_ending = False
    _is_done = False
    _has_trailers = False

    def __init__(
        self,
        limits: StreamLimits,
        opened_with: Verified,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._limits = limits
        self._opened_with = opened_with
        self._scope = scope
        self._receive = receive
        self._send = send

    @property
    def verified(self) -> Verified:
        """The token that holds the stream open; the latest one adopted."""
        return self._opened_with if self._hold is None else self._hold.verified

    @property
    def is_used(self) -> bool:
        """Whether `close` has something to end."""
        return self._over is not None

    def adopt(self, token: bytes | str) -> Verified:
        """Go on under `token`, a successor of the same session that the client handed over.

        Raises:
            TokenError: It is not valid, or of somebody else (`InvalidClaim`). The stream stays
                open under the token it has.
            LinqiError: The response did not start as an event stream.

        """
        if self._hold is None:
            raise LinqiError("the response is no event stream that has started")
        return self._hold.adopt(token)

    def send(self, message: Message) -> Awaitable[None]:
        """Send `message`; after the end of a stream drop it or raise, as the server does."""
        if self._hold is not None:
            return self._send_event(message)
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            if type(headers) is not list or (headers and not isinstance(headers[0], tuple | list)):
                headers = [tuple(header) for header in headers]
                message = {**message, "headers": headers}
            if _is_event_stream(headers):
                return self._begin(message)
        return self._send(message)

    async def receive(self) -> Message:
        """Return the next message; a disconnect once the stream has ended."""
        if self._over is None:
            if not self._is_read:
                message = await self._receive()
                self._is_read = not message.get("more_body", False)
                return message
            self._over = asyncio.get_running_loop().create_future()
        if not self._over.done():
            pending = self._pending = self._pending or asyncio.ensure_future(self._receive())
            waits: set[asyncio.Future[Any]] = {pending, self._over}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not self._over.done():
                self._pending = None
                message = pending.result()
                self._is_done = self._is_done or message["type"] == "http.disconnect"
                return message
        return dict(_DISCONNECT)

    async def close(self) -> None:
        """End what waits; called when the application has returned."""
        if self._watcher is not None and self._is_ending:
            await asyncio.wait([self._watcher])  # a server drops what is not sent by now
        self._is_done = True
        for waiting in (self._watcher, self._pending):
            if waiting is not None:
                waiting.cancel()
        if self._watcher is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    async def _begin(self, message: Message) -> None:
        self._hold = self._limits.hold(self._opened_with)
        self._lock = asyncio.Lock()
        self._has_trailers = bool(message.get("trailers", False))
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
        await self._send(message)
        self._watcher = asyncio.create_task(self._watch(self._hold, self._over))

    async def _send_event(self, message: Message) -> None:
        async with self._lock:
            if not self._is_ending:
                await self._send(message)
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    self._is_done = True
                return
        version = str(self._scope.get("asgi", {}).get("spec_version", "2.0"))
        if tuple(int(part) for part in version.split(".")[:2]) >= _RAISES_SINCE:
            raise StreamClosedError("the stream was ended: its token expired or was revoked")

    async def _watch(self, hold: TokenHold, over: asyncio.Future[None]) -> None:
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
        except Exception as error:  # noqa: BLE001 - for a lost peer each server has its own
            self._is_ending = True
            _logger.debug("a stream could not be ended: %s", type(error).__name__)
        else:
            self._tell(hold, reason)
        finally:
            over.set_result(None)

    async def _send_end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._has_trailers:
            await self._send(
                {"type": "http.response.trailers", "headers": [], "more_trailers": False}
            )

    def _tell(self, hold: TokenHold, reason: TokenError) -> None:
        user, path = hold.verified.identity, self._scope["path"]
        self._limits.tell(StreamClosed(user=user, code=reason.code, path=path))


def _is_event_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a response is an event stream whose body may end at any time."""
    is_events = False
    for name, value in headers:
        if len(name) == 14 and name.lower() == b"content-length":
            return False  # ending it early would break its framing
        if len(name) == 12 and name.lower() == b"content-type":
            is_events = value[:17].lower() == b"text/event-stream"
    return is_events
