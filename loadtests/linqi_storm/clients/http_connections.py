"""Keep-alive HTTP/1.1 on gevent sockets, with only what a load generator needs.

A request costs a third of the CPU time of `locust.FastHttpUser`, so that the servers and not the
generator are the bottleneck. Import it only in a process that uses gevent.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import gevent.socket
from gevent.lock import BoundedSemaphore
from httptools import HttpParserError, HttpResponseParser

__all__ = ["ConnectionPool", "NoResponseError", "WireResponse"]

_CHUNK: Final = 65_536
_MOST_CONNECTIONS: Final = 4_000


class NoResponseError(Exception):
    """No response arrived; the message says why."""


@dataclass(slots=True)
class WireResponse:
    """A complete HTTP response."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    """By lower-case name; of a repeated name the last value, except for cookies."""
    cookies: list[bytes] = field(default_factory=list)
    """The values of all ``Set-Cookie`` headers."""
    body: bytes = b""


class _Reader:
    """Collects one response for `httptools`."""

    __slots__ = ("body", "is_kept", "is_whole", "parser", "response")

    def __init__(self) -> None:
        self.response = WireResponse()
        self.body: list[bytes] = []
        self.is_whole = self.is_kept = False
        self.parser = HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"set-cookie":
            self.response.cookies.append(value)
        else:
            self.response.headers[name] = value

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True
        # The parser starts with the next response right after this call.
        self.response.status = self.parser.get_status_code()
        self.is_kept = self.parser.should_keep_alive()


class _Connection:
    """One socket. With `uses` above 0 the server may have closed it since the last request."""

    __slots__ = ("socket", "uses")

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.uses = 0

    def exchange(self, request: bytes) -> tuple[WireResponse, bool]:
        """Return the response to `request`, and whether the connection may be used again."""
        reader = _Reader()
        has_begun = False
        try:
            self.socket.sendall(request)
            while not reader.is_whole:
                data = self.socket.recv(_CHUNK)
                if not data:
                    raise (
                        _StaleError
                        if self.uses and not has_begun
                        else NoResponseError("the connection was closed early")
                    )
                has_begun = True
                reader.parser.feed_data(data)
        except TimeoutError:
            raise
        except OSError as error:
            if self.uses and not has_begun:
                raise _StaleError from error
            raise NoResponseError(type(error).__name__) from error
        except HttpParserError as error:
            raise NoResponseError("the response is not HTTP") from error
        self.uses += 1
        response = reader.response
        response.body = b"".join(reader.body)
        return response, reader.is_kept


class _StaleError(Exception):
    """The server closed an idle connection before it read the request."""


class ConnectionPool:
    """A pool of connections to one host.

    Connections are chosen at random, so that requests reach all workers. If the server has closed
    the chosen one, the request is sent once more on a new connection, as browsers do.

    Args:
        url: Scheme, host and port.
        timeout: Seconds for connecting and for each read.
        seed: For the choice of connections.
        on_reconnect: Called when a request is sent once more.

    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        seed: int = 1,
        on_reconnect: Callable[[], object] = lambda: None,
    ) -> None:
        parts = urlsplit(url)
        self._name = parts.hostname or "127.0.0.1"
        port = parts.port or _port(parts.scheme)
        # Resolved once: a look-up costs more than a request.
        self._family, _, _, _, self._address = gevent.socket.getaddrinfo(
            self._name, port, type=gevent.socket.SOCK_STREAM
        )[0]
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._timeout = timeout
        self._idle: list[_Connection] = []
        self._room = BoundedSemaphore(_MOST_CONNECTIONS)
        self._rng = random.Random(seed)  # noqa: S311 - which connection is no secret
        self._on_reconnect = on_reconnect

    def warm(self, connections: int) -> None:
        """Open `connections` connections."""
        self._idle.extend(self._connect() for _ in range(connections))

    def exchange(self, request: bytes) -> WireResponse:
        """Send a complete `request` and return its response.

        Raises:
            TimeoutError: If a read takes longer than the timeout.
            NoResponseError: If the connection fails or the response is not HTTP.

        """
        with self._room:
            connection = self._take() or self._connect()
            try:
                response, is_usable = connection.exchange(request)
            except _StaleError:
                connection.socket.close()
                self._on_reconnect()
                connection = self._connect()
                response, is_usable = self._exchange_fresh(connection, request)
            except BaseException:
                connection.socket.close()
                raise
            if is_usable:
                self._idle.append(connection)
            else:
                connection.socket.close()
            return response

    def _exchange_fresh(self, connection: _Connection, request: bytes) -> tuple[WireResponse, bool]:
        try:
            return connection.exchange(request)
        except BaseException:
            connection.socket.close()
            raise

    def _take(self) -> _Connection | None:
        idle = self._idle
        if not idle:
            return None
        place = int(self._rng.random() * len(idle))
        idle[place], idle[-1] = idle[-1], idle[place]
        return idle.pop()

    def _connect(self) -> _Connection:
        try:
            made = gevent.socket.socket(self._family, gevent.socket.SOCK_STREAM)
            made.settimeout(self._timeout)
            made.connect(self._address)
            made.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            if self._tls is not None:
                made = self._tls.wrap_socket(made, server_hostname=self._name)
        except TimeoutError:
            raise
        except OSError as error:
            raise NoResponseError(f"no connection: {type(error).__name__}") from error
        return _Connection(made)

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.socket.close()
        self._idle.clear()


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
