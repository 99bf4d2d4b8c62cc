"""A process that redeems refresh tokens, the newest of each session next, over open connections.

Reads JSON lines: first the port and the tokens, then commands, each answered
with one line. Every session has a connection of its own.

It sleeps by a timer and never for a response: the kernel would charge the server with waking it up.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["RefreshLoad"]

_TIMEOUT: Final = 20.0
_PAUSE: Final = 0.0005
"""Seconds between two looks for responses where none has arrived."""
_HEAD: Final = (
    b"POST /refresh HTTP/1.1\r\nhost: api.shop.example\r\naccept: application/json\r\n"
    b"user-agent: linqi-bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
)
_NAME: Final = b'"refresh_token":'


class _Session:
    """A session with its newest refresh token, on a connection of its own."""

    def __init__(self, port: int, token: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.refused = 0
        body = b'{"refresh_token":"' + token + b'"}'
        self._prefix = _HEAD % len(body)  # all refresh tokens are of one length
        self._token = token
        self._received = b""

    def send(self) -> None:
        """Present the newest token."""
        self.socket.sendall(self._prefix + b'{"refresh_token":"' + self._token + b'"}')

    def is_answered(self) -> bool:
        """Read what has arrived; when the response is whole, keep its token and return True.

        After a 503 the same token is presented again next time.
        """
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed the connection of a session")
        received = self._received + chunk
        if not received.endswith(b"}"):  # the response is one flat object
            self._received = received
            return False
        self._received = b""
        if received.startswith(b"HTTP/1.1 503"):
            self.refused += 1
            return True
        if not received.startswith(b"HTTP/1.1 200"):
            raise ValueError(f"the response is not 200: {received[:300]!r}")
        start = received.index(b'"', received.index(_NAME) + len(_NAME)) + 1
        self._token = received[start : received.index(b'"', start)]
        return True


class RefreshLoad:
    """Sessions that are refreshed as fast as the server answers, or all within a moment."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self._sessions = [_Session(port, token.encode()) for token in tokens]
        self._idle = deque(self._sessions)
        self._epoll = select.epoll()
        self._by_number = {each.socket.fileno(): each for each in self._sessions}
        for number in self._by_number:
            self._epoll.register(number, select.EPOLLIN)

    def close(self) -> None:
        """Close the connections."""
        self._epoll.close()
        for session in self._sessions:
            session.socket.close()

    def steady(self, seconds: float, at_once: int) -> dict[str, float]:
        """Keep `at_once` refreshes in flight, one session after the other, for `seconds`."""
        start = time.perf_counter()
        end = start + seconds
        for _ in range(at_once):
            self._idle.popleft().send()
        answered, waiting = 0, at_once
        while waiting:
            for session in self._answered():
                answered += 1
                waiting -= 1
                self._idle.append(session)
                if time.perf_counter() < end:
                    self._idle.popleft().send()
                    waiting += 1
        return {"refreshes": answered - self._refused(), "seconds": time.perf_counter() - start}

    def rush(self, seconds: float, seed: int) -> dict[str, Any]:
        """Refresh every session once, at instants drawn evenly from `seconds`.

        The latency counts from the instant at which a request was due, sent or not.
        """
        source = random.Random(seed)
        start = time.perf_counter() + 0.05
        due = sorted(start + source.random() * seconds for _ in self._sessions)
        coming = deque(zip(due, self._sessions, strict=True))
        latencies: list[float] = []
        while len(latencies) < len(self._sessions):
            now = time.perf_counter()
            while coming and coming[0][0] <= now:
                session = coming.popleft()
                session[1].due = session[0]
                session[1].send()
            latencies += [time.perf_counter() - each.due for each in self._answered()]
        return {"latencies": sorted(latencies), "refused": self._refused()}

    def _refused(self) -> int:
        """Return how many refreshes were refused with 503 since the last call."""
        refused = sum(session.refused for session in self._sessions)
        for session in self._sessions:
            session.refused = 0
        return refused

    def _answered(self) -> Iterator[_Session]:
        """Yield the sessions whose response is whole; pause where none has arrived."""
        ready = self._epoll.poll(0)
        if not ready:
            time.sleep(_PAUSE)
        for number, _ in ready:
            session = self._by_number[number]
            if session.is_answered():
                yield session


def _serve() -> None:
    options = json.loads(sys.stdin.readline())
    load = RefreshLoad(options["port"], options["tokens"])
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(load, command.pop("do"))(**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
