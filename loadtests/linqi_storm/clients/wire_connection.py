"""One keep-alive HTTP/1.1 connection, watched by gevent's event loop."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import gevent

from linqi_storm.clients.wire_responses import (
    NoResponseError,
    ResponseHeads,
    ResponseReader,
    WireResponse,
)

__all__ = ["Answered", "ConnectionOwner", "WireConnection"]

Answered: TypeAlias = Callable[[WireResponse | None, Exception | None], object]
"""Receives a response, or the reason why there is none. It is called by the event loop: it must
not wait."""

_CHUNK: Final = 65_536
_READ, _WRITE = 1, 2
_NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class ConnectionOwner(Protocol):
    """What a connection reports to."""

    heads: ResponseHeads

    def answered(self, connection: WireConnection, *, is_kept: bool) -> None:
        """Take back a connection whose response has arrived."""
        ...

    def lost(self, connection: WireConnection) -> None:
        """Forget a connection that is closed."""
        ...

    def repeat(self, request: bytes, done: Answered) -> None:
        """Send a request on a new connection: the server had closed this one before it."""
        ...


class WireConnection:
    """A connection with at most one request in progress.

    A callback of the loop reads the response, so that a request needs no greenlet.

    Args:
        socket: Connected, and not blocking.
        owner: Receives the connection back.

    """

    __slots__ = (
        "_answered_before",
        "_done",
        "_has_begun",
        "_owner",
        "_readable",
        "_reader",
        "_recv",
        "_request",
        "_send",
        "_socket",
        "_unsent",
        "_writable",
    )

    def __init__(self, socket: Any, owner: ConnectionOwner) -> None:
        self._socket, self._owner = socket, owner
        self._recv, self._send = socket.recv, socket.send
        self._answered_before = self._has_begun = False
        self._done: Answered | None = None
        self._request = self._unsent = b""
        self._reader: ResponseReader | None = None
        self._writable: Any = None
        self._readable = gevent.get_hub().loop.io(socket.fileno(), _READ)
        self._readable.start(self._read)

    def ask(self, request: bytes, done: Answered) -> None:
        """Send `request`; `done` receives the response. It may be called before this returns."""
        self._request, self._done = request, done
        self._has_begun = False
        try:
            sent = self._send(request)
        except _NOT_YET:
            sent = 0
        except OSError as error:
            self._break(error)
            return
        if sent < len(request):
            self._write_later(request[sent:])

    def time_out(self) -> None:
        """End the request in progress without a response."""
        self._fail(TimeoutError("no response in time"))

    def close(self) -> None:
        """Close the connection."""
        self._readable.stop()
        self._readable.close()
        if self._writable is not None:
            self._writable.stop()
            self._writable.close()
        self._socket.close()

    def _read(self) -> None:
        data = self._receive()
        if data is None:
            return
        if self._done is None:
            self._retire()  # the server has closed an idle connection, or speaks unasked
        elif not data:
            self._break(None)
        elif self._has_begun:
            self._feed(data)
        else:
            self._begin(data)

    def _receive(self) -> bytes | None:
        """Return what has arrived; None if nothing has, or if the connection broke."""
        try:
            return self._recv(_CHUNK)  # type: ignore[no-any-return]
        except _NOT_YET:
            return None
        except OSError as error:
            if self._done is None:
                self._retire()
            else:
                self._break(error)
            return None

    def _begin(self, data: bytes) -> None:
        """Read the first data of a response; most of the time that is all of it."""
        self._has_begun = True
        is_head = self._request.startswith(b"HEAD ")
        response = None if is_head else self._owner.heads.read(data)
        if response is not None:
            self._finish(response, is_kept=True)
            return
        self._reader = reader = ResponseReader(is_head=is_head)
        self._feed(data)
        if reader.is_kept:
            self._owner.heads.learn(data, reader.response)

    def _feed(self, data: bytes) -> None:
        reader = self._reader
        assert reader is not None  # noqa: S101 - made by the first data
        more: bytes | None = data
        while more is not None:  # TLS may hold more than the socket does
            if not more:
                self._break(None)
                return
            try:
                reader.feed(more)
            except NoResponseError as error:
                self._fail(error)
                return
            if reader.is_whole:
                self._finish(reader.response, is_kept=reader.is_kept)
                return
            more = self._receive()

    def _finish(self, response: WireResponse, *, is_kept: bool) -> None:
        done = self._take_request()
        self._answered_before = True
        # The rest of a request that was answered early would reach the server before the next one.
        is_kept = is_kept and not self._unsent
        if not is_kept:
            self.close()
        self._owner.answered(self, is_kept=is_kept)
        done(response, None)

    def _break(self, error: OSError | None) -> None:
        """End a request whose connection broke; repeat it if the server cannot have begun it."""
        if self._answered_before and not self._has_begun:
            request, done = self._request, self._take_request()
            self._retire()
            self._owner.repeat(request, done)
            return
        why = "the connection was closed early" if error is None else type(error).__name__
        self._fail(NoResponseError(why))

    def _fail(self, fault: Exception) -> None:
        done = self._take_request()
        self._retire()
        done(None, fault)

    def _retire(self) -> None:
        self.close()
        self._owner.lost(self)

    def _take_request(self) -> Answered:
        done = self._done
        assert done is not None  # noqa: S101 - a request is in progress
        self._done = self._reader = None
        self._request = b""
        return done

    def _write_later(self, rest: bytes) -> None:
        self._unsent = rest
        if self._writable is None:
            self._writable = gevent.get_hub().loop.io(self._socket.fileno(), _WRITE)
        self._writable.start(self._write)

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[self._send(self._unsent) :]
        except _NOT_YET:
            return
        except OSError as error:
            if self._done is not None:
                self._break(error)
            return
        if not self._unsent:
            self._writable.stop()
