"""A process that sends requests over kept-alive connections, as many at once as it has of them.

Reads JSON lines: first the tokens, then one order after another, ``{"port": .., "requests": ..}``,
each answered with the seconds it took. Anything but 200 ends it.

It never sleeps while it waits for answers: the kernel would charge the server with waking it up,
and the more so the longer the server takes, 5 to 20 us for a request.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["HttpLoad"]

_CONNECTIONS: Final = 16
_TIMEOUT: Final = 10.0
_PATIENCE: Final = 0 if (os.cpu_count() or 1) > 1 else _TIMEOUT
"""Seconds to sleep for an answer: none where the server has another processor."""


class _Connection:
    """One request at a time, over and over."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Read what there is; tell whether the answer is whole."""
        received = self.socket.recv(65_536)
        if not received:
            raise ConnectionError("the server closed a connection that was to stay open")
        self._got += received
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise ValueError(f"not 200: {head[:200]!r}")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if len(body) < int(length):
            return False
        self._got = b""
        return True


class HttpLoad:
    """Requests with one token after another, on connections that stay open."""

    def __init__(self, tokens: list[str]) -> None:
        self._requests: Iterator[bytes] = itertools.cycle(
            [
                b"GET /orders/17 HTTP/1.1\r\nhost: api.shop.example\r\naccept: application/json\r\n"
                b"user-agent: linqi-bench\r\nauthorization: Bearer " + token.encode() + b"\r\n\r\n"
                for token in tokens
            ]
        )
        self._connections: dict[int, list[_Connection]] = {}

    def send(self, port: int, requests: int) -> float:
        """Send `requests`; give the seconds until the last answer."""
        if port not in self._connections:
            self._connections[port] = [_Connection(port) for _ in range(_CONNECTIONS)]
        open_ones = self._connections[port][:requests]
        start = time.perf_counter()
        with selectors.DefaultSelector() as waiting:
            for connection in open_ones:
                waiting.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send(next(self._requests))
            sent, answered, heard = len(open_ones), 0, start
            while answered < requests:
                ready = waiting.select(_PATIENCE)
                if not ready and time.perf_counter() - heard > _TIMEOUT:
                    raise TimeoutError(f"no answer within {_TIMEOUT:g} s")
                for chosen, _ in ready:
                    if not chosen.data.is_answered():
                        continue
                    answered += 1
                    heard = time.perf_counter()
                    if sent < requests:
                        sent += 1
                        chosen.data.send(next(self._requests))
        return time.perf_counter() - start


def _serve() -> None:
    load = HttpLoad(json.loads(sys.stdin.readline())["tokens"])
    for line in sys.stdin:
        order = json.loads(line)
        took = load.send(order["port"], order["requests"])
        sys.stdout.write(json.dumps({"seconds": took}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
