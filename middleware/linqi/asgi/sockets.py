"""WebSockets, which are closed when their token or session ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from linqi._background import BackgroundTask
from linqi.asgi._http import ASGIApp, Message, Receive, Scope, Send
from linqi.asgi.token_hold import CLOSE_SECONDS, TokenHold
from linqi.errors import StaleClaims, TokenError, TokenExpired
from linqi.events.dispatcher import Dispatcher
from linqi.jose.verified import Verified
from linqi.jose.verifier import Verifier

if TYPE_CHECKING:
    from linqi.events import Event

__all__ = ["SocketClosedError", "SocketSession", "socket_scope"]

_logger = logging.getLogger("linqi")

CLOSE_CODE: Final = 4401
"""The close code for an ended token: 401 in the range for private use (RFC 6455, 7.4.2)."""


class SocketClosedError(OSError):
    """Raised where an application sends after its socket was closed with 4401 (ASGI 2.4)."""


class SocketSession:
    """The guard of one WebSocket; the application finds it in ``scope["linqi.socket"]``.

    The token is checked again every `check_seconds` and at ``exp``. When it has expired or was
    revoked, the socket is closed with 4401. A client that has a successor sends it over the
    socket, and the application passes it to `adopt`.
    """

    def __init__(
        self,
        verifier: Verifier,
        verified: Verified,
        receive: Receive,
        send: Send,
        *,
        clock: Callable[[], float],
        check_seconds: float,
        subprotocol: str | None,
        events: Dispatcher[Event],
    ) -> None:
        self._hold = TokenHold(
            verifier,
            verified,
            end_of=lambda held: held.expires_at + verifier.leeway,
            check_seconds=check_seconds,
            clock=clock,
        )
        self._watcher = BackgroundTask("guard of a WebSocket", self._watch, events=events)
        self._receive = receive
        self._send = send
        self._subprotocol = subprotocol
        self._ended: asyncio.Future[TokenError] = asyncio.get_running_loop().create_future()
        self._is_closing = False
        self._is_closed = False
        self._pending: asyncio.Future[Message] | None = None
        self._is_over = False

    @property
    def verified(self) -> Verified:
        """The token that holds the socket open: the latest one adopted."""
        return self._hold.verified

    def adopt(self, token: bytes | str) -> Verified:
        """Continue the connection under `token`, a successor of the same session.

        Returns:
            The verified `token`.

        Raises:
            TokenError: The token is not valid, or belongs to another subject or session
                (`InvalidClaim`). The socket stays open under the token it has.

        """
        return self._hold.adopt(token)

    async def run(self, app: ASGIApp, scope: Scope) -> TokenError | None:
        """Run `app` on the socket.

        Returns:
            The reason if the socket was closed with 4401; None if it ended in another way, or if
            the close could not be sent.

        """
        self._watcher.start()
        try:
            await app(scope, self.receive, self.send)
            if self._is_closing:
                # The application saw the end first. A server drops what is not sent by now.
                await self._watcher.wait()
        finally:
            self._is_over = True
            if self._pending is not None:
                self._pending.cancel()
            await self._watcher.close()
        return self._ended.result() if self._is_closed else None

    async def receive(self) -> Message:
        """Return the next message; a disconnect with 4401 once the token has ended."""
        if not self._is_closing:
            # The read continues if the application stops waiting, so that no message is lost.
            pending = self._pending = self._pending or asyncio.ensure_future(self._receive())
            waits: set[asyncio.Future[Any]] = {pending, self._ended}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not self._is_closing:
                self._pending = None
                message = pending.result()
                self._is_over = message["type"] == "websocket.disconnect"
                return message
        await asyncio.wait([self._ended])
        return {"type": "websocket.disconnect", "code": CLOSE_CODE, "reason": ""}

    async def send(self, message: Message) -> None:
        """Send `message`, unless the socket was closed."""
        if self._is_closing:
            raise SocketClosedError("the socket was closed with 4401: its token ended")
        if message["type"] == "websocket.accept" and self._subprotocol is not None:
            if message.get("subprotocol") is None:
                message = {**message, "subprotocol": self._subprotocol}
        elif message["type"] == "websocket.close":
            self._is_over = True
        await self._send(message)

    async def _watch(self) -> None:
        """Close the socket when its token or session ends."""
        reason = await self._hold.ended()
        if not self._is_over:
            await self._close(reason)

    async def _close(self, reason: TokenError) -> None:
        """Send the close, then report it to the application."""
        self._is_closing = self._is_over = True
        text = "token expired" if isinstance(reason, TokenExpired) else "session ended"
        if isinstance(reason, StaleClaims):
            text = "claims changed"
        message = {"type": "websocket.close", "code": CLOSE_CODE, "reason": text}
        try:
            await asyncio.wait_for(self._send(message), CLOSE_SECONDS)
            self._is_closed = True
        except Exception as error:  # noqa: BLE001 - each server has its own exception for a lost peer
            _logger.debug("a socket could not be closed with 4401: %s", type(error).__name__)
        finally:
            self._ended.set_result(reason)


def socket_scope(scope: Scope, session: SocketSession, marker: str | None) -> Scope:
    """Return `scope` for the application: with the guard, without the token's subprotocols."""
    inner = {**scope, "linqi.socket": session}
    if marker is not None:
        offered = list(scope["subprotocols"])
        position = offered.index(marker)
        inner["subprotocols"] = offered[:position] + offered[position + 2 :]
        inner["headers"] = [
            header for header in scope["headers"] if header[0] != b"sec-websocket-protocol"
        ]
    return inner
