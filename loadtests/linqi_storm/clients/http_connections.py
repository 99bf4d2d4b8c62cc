"""Keep-alive HTTP/1.1 on gevent's event loop, with only what a load generator needs.

A request costs a fraction of the CPU time of `locust.FastHttpUser`, so that the servers and not the
generator are the bottleneck. Import it only in a process that uses gevent.
"""

from __future__ import annotations

import errno
import os
import random
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import gevent.socket
from gevent.event import AsyncResult
from gevent.monkey import get_original

from linqi_storm.clients.wire_connection import Answered, WireConnection
from linqi_storm.clients.wire_responses import NoResponseError, ResponseHeads, WireResponse

__all__ = ["ConnectionPool"]

_Socket: Final = get_original("socket", "socket")
_MOST_CONNECTIONS: Final = 4_000
_TURN: Final = 0.01
_OPENED_IN_A_TURN: Final = 20
"""New connections per 10 ms. One costs the generator 60 us and a server more: the thousands that
a server needs after it stood still would make all requests late that are due meanwhile."""


class ConnectionPool:
    """A pool of connections to one host.

    Connections are chosen at random, so that requests reach all workers. If the server has closed
    the chosen one, the request is sent once more on a new connection, as browsers do. At most 2,000
    connections are opened per second; further requests wait for one of these or for one that is
    free, and the wait is part of their latency.

    Args:
        url: Scheme, host and port.
        timeout: Seconds for a connection, and then for a response.
        seed: For the choice of connections.
        on_reconnect: Called when a request is sent once more.

    Attributes:
        heads: Of the responses on all connections.

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
        self._idle: list[WireConnection] = []
        self._deadlines: dict[WireConnection, float] = {}
        """Of the requests in progress, in the order in which they end."""
        self._room = _MOST_CONNECTIONS
        self._openings = _OPENED_IN_A_TURN
        """New connections that this turn still allows."""
        self._waiting: deque[tuple[float, bytes, Answered]] = deque()
        """Requests without a connection, each with the end of its time, in the order of it."""
        self._timer: Any = None
        self._rng = random.Random(seed)  # noqa: S311 - which connection is no secret
        self._on_reconnect = on_reconnect
        self.heads = ResponseHeads()

    def warm(self, connections: int) -> None:
        """Open `connections` connections."""
        for _ in range(connections):
            self._idle.append(self._connect())
            self._room -= 1

    def send(self, request: bytes, done: Answered) -> None:
        """Send a complete `request` without waiting for its response.

        Args:
            request: The bytes.
            done: Receives the response; or a `TimeoutError` if it takes longer than the timeout,
                or a `NoResponseError` if the connection fails or the response is not HTTP.

        """
        if self._timer is None:
            self._timer = gevent.get_hub().loop.timer(_TURN, _TURN)
            self._timer.start(self._begin_turn)
        if self._idle:
            self._ask(self._take(), request, done)
        elif self._may_open():
            self._open_for(request, done)
        else:
            self._waiting.append((time.perf_counter() + self._timeout, request, done))

    def exchange(self, request: bytes) -> WireResponse:
        """Send a complete `request` and wait for its response.

        Raises:
            TimeoutError: If it takes longer than the timeout.
            NoResponseError: If the connection fails or the response is not HTTP.

        """
        answer = AsyncResult()
        self.send(request, lambda response, fault: answer.set((response, fault)))
        response: WireResponse | None
        response, fault = answer.get()
        if response is None:
            raise fault or NoResponseError("no response")
        return response

    def answered(self, connection: WireConnection, *, is_kept: bool) -> None:
        """Take back a connection whose response has arrived."""
        del self._deadlines[connection]
        if not is_kept:
            self._leave()
        elif self._waiting:
            self._ask(connection, *self._next_waiting())
        else:
            self._idle.append(connection)

    def lost(self, connection: WireConnection) -> None:
        """Forget a connection that is closed."""
        if self._deadlines.pop(connection, None) is None:
            self._idle.remove(connection)
        self._leave()

    def repeat(self, request: bytes, done: Answered) -> None:
        """Send a request on a new connection, as the server had closed the one chosen."""
        self._on_reconnect()
        self._open_for(request, done)

    def close(self) -> None:
        """Close all connections; requests in progress have no response."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        for connection in (*self._idle, *self._deadlines):
            connection.close()
        self._idle.clear()
        self._deadlines.clear()

    def _take(self) -> WireConnection:
        idle = self._idle
        place = int(self._rng.random() * len(idle))
        idle[place], idle[-1] = idle[-1], idle[place]
        return idle.pop()

    def _ask(self, connection: WireConnection, request: bytes, done: Answered) -> None:
        self._deadlines[connection] = time.perf_counter() + self._timeout
        connection.ask(request, done)

    def _begin_turn(self) -> None:
        """Allow new connections, and open those for which requests wait."""
        self._end_late(time.perf_counter())
        self._openings = _OPENED_IN_A_TURN
        while self._waiting and self._may_open():
            self._open_for(*self._next_waiting())

    def _end_late(self, now: float) -> None:
        """End the requests whose time is over."""
        late = []
        for connection, deadline in self._deadlines.items():
            if deadline > now:
                break
            late.append(connection)
        for connection in late:
            connection.time_out()
        while self._waiting and self._waiting[0][0] <= now:
            _, done = self._next_waiting()
            done(None, TimeoutError("no free connection in time"))

    def _leave(self) -> None:
        """Make room for another connection, and open it for a request that waits."""
        self._room += 1
        if self._waiting and self._may_open():
            self._open_for(*self._next_waiting())

    def _next_waiting(self) -> tuple[bytes, Answered]:
        _, request, done = self._waiting.popleft()
        return request, done

    def _may_open(self) -> bool:
        return self._room > 0 and self._openings > 0

    def _open_for(self, request: bytes, done: Answered) -> None:
        self._room -= 1
        self._openings -= 1
        if self._tls is None:
            self._open(request, done)
        else:  # a handshake waits
            gevent.spawn(self._open, request, done)

    def _open(self, request: bytes, done: Answered) -> None:
        try:
            connection = self._connect()
        except (TimeoutError, NoResponseError) as error:
            self._leave()
            done(None, error)
        else:
            self._ask(connection, request, done)

    def _connect(self) -> WireConnection:
        try:
            return WireConnection(self._secured() if self._tls else self._plain(), self)
        except TimeoutError:
            raise
        except OSError as error:
            raise NoResponseError(f"no connection: {type(error).__name__}") from error

    def _plain(self) -> Any:
        """Return a socket that is connected or soon will be: it takes a request when it is.

        It is one of the standard library: one of gevent costs 50 us, and 2 us a call.
        """
        made = _Socket(self._family, gevent.socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        fault = made.connect_ex(self._address)
        if fault not in (0, errno.EINPROGRESS):
            made.close()
            raise OSError(fault, os.strerror(fault))
        return made

    def _secured(self) -> Any:
        assert self._tls is not None  # noqa: S101 - checked by the caller
        made = gevent.socket.create_connection(self._address[:2], self._timeout)
        made.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        made = self._tls.wrap_socket(made, server_hostname=self._name)
        made.setblocking(False)
        return made


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
