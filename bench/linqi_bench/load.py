"""A process that sends requests over kept-alive connections, one at a time on each.

``python -m linqi_bench.load PORT FILE`` with one token a line; reads JSON lines,
``{"seconds": ..}``, each answered with the number of requests. A response other than 200 ends it.

It never sleeps while it waits for responses: the kernel would charge the server with waking it up,
and the more so the longer the server takes, 5 to 20 us for a request.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["HttpLoad"]

_CONNECTIONS: Final = 16
_TIMEOUT: Final = 10.0
_PATIENCE: Final = 0 if (os.cpu_count() or 1) > 1 else _TIMEOUT
"""Seconds to sleep for a response: none where the server has another processor."""
_MOST_REOPENED: Final = 3
_BLOCK: Final = 200
"""Requests between two looks at the clock."""


class _Connection:
    """One request at a time on a connection that is opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._request = b""
        self._received = b""
        self._closed_at_once = 0
        self._open()

    def send(self, request: bytes) -> None:
        """Send `request`; the response before it was read to its end."""
        self._request = request
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # seen when it is read
            self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Read what has arrived, and return whether the response is whole."""
        try:
            chunk = self.socket.recv(65_536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise ConnectionAbortedError
        self._received += chunk
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise ValueError(f"the response is not 200: {head[:200]!r}")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if len(body) < int(length):
            return False
        self._received = b""
        self._closed_at_once = 0
        return True

    def reopen(self) -> None:
        """Open the connection again and repeat the request (RFC 9112, section 9.3.1).

        Raises:
            ConnectionError: The server closed it within a response, or three times in succession
                without any.

        """
        self.socket.close()
        self._closed_at_once += 1
        if self._received or self._closed_at_once > _MOST_REOPENED:
            raise ConnectionError("the server closed the connection before it had responded")
        self._open()
        self.send(self._request)

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class HttpLoad:
    """Requests with one token after another, on 16 connections to each port."""

    def __init__(self, tokens: list[str]) -> None:
        self._requests: Iterator[bytes] = itertools.cycle(
            [
                b"GET /orders/17 HTTP/1.1\r\nhost: api.shop.example\r\naccept: application/json\r\n"
                b"user-agent: linqi-bench\r\nauthorization: Bearer " + token.encode() + b"\r\n\r\n"
                for token in tokens
            ]
        )
        self._connections: dict[int, list[_Connection]] = {}

    def close(self) -> None:
        """Close the connections."""
        for connections in self._connections.values():
            for connection in connections:
                connection.socket.close()

    def send(self, port: int, requests: int) -> float:
        """Send `requests`, and return the seconds until the last response.

        A server may close a connection between two requests: hypercorn does after 1,000 of them,
        and each server after its keep-alive timeout, which a busy machine lets expire between two
        blocks. Such a connection is opened again.

        Raises:
            TimeoutError: No response within 10 s.
            ConnectionError: The server closes connections without a response.
            ValueError: A response is not 200.

        """
        if port not in self._connections:
            self._connections[port] = [_Connection(port) for _ in range(_CONNECTIONS)]
        in_use = self._connections[port][:requests]
        start = time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for connection in in_use:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send(next(self._requests))
            sent, answered, last = len(in_use), 0, start
            while answered < requests:
                ready = selector.select(_PATIENCE)
                if not ready and time.perf_counter() - last > _TIMEOUT:
                    raise TimeoutError(f"no response within {_TIMEOUT:g} s")
                for key, _ in ready:
                    if not _is_answered(selector, key.data):
                        continue
                    answered += 1
                    last = time.perf_counter()
                    if sent < requests:
                        sent += 1
                        key.data.send(next(self._requests))
        return time.perf_counter() - start


def _is_answered(selector: selectors.BaseSelector, connection: _Connection) -> bool:
    """Return whether the response is whole; open a connection again that was closed."""
    try:
        return connection.is_answered()
    except ConnectionAbortedError:
        selector.unregister(connection.socket)
        connection.reopen()
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        return False


def _serve(port: int, tokens: list[str]) -> None:
    load = HttpLoad(tokens)
    for line in sys.stdin:
        end = time.perf_counter() + json.loads(line)["seconds"]
        sent = 0
        while time.perf_counter() < end:
            load.send(port, _BLOCK)
            sent += _BLOCK
        sys.stdout.write(f"{sent}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]).read_text("ascii").split())
