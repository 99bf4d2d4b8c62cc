"""Sends requests over keep-alive connections as fast as they are answered, on one core.

``python -m rivals.load`` reads one JSON command a line and answers each with one JSON line. A lean
client on sockets: the server is measured, and its responses are only counted.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from linqi_report.processes import on_core
from rivals.processes import ProcessDied

__all__ = ["LoadGenerator", "load_generator", "request_bytes", "send_all"]

_CONNECTIONS: Final = 16
_LONGEST_SECONDS: Final = 30.0
_STATUS: Final = slice(9, 12)
"""Where the three digits stand in ``HTTP/1.1 200 OK``."""


def request_bytes(token: str, path: str = "/me") -> bytes:
    """Return the whole GET request that presents `token`."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode("ascii")


def send_all(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int = _CONNECTIONS,
    seconds: float = _LONGEST_SECONDS,
) -> Counter[str]:
    """Send every request once over `connections`, and return how often each status was received.

    Raises:
        TimeoutError: The requests took longer than `seconds`.
        ConnectionError: The server closed a connection.

    """
    statuses: Counter[str] = Counter()
    waiting = iter(requests)
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        busy = 0
        for _, request in zip(range(connections), waiting, strict=False):
            sock = socket.create_connection(("127.0.0.1", port), timeout=seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(sock, selectors.EVENT_READ, (sock, bytearray()))
            sock.sendall(request)
            busy += 1
        try:
            while busy:
                if time.monotonic() > end:
                    raise TimeoutError(f"{len(requests)} requests took longer than {seconds:g} s")
                for ready, _ in selector.select(1.0):
                    sock, received = ready.data
                    chunk = sock.recv(65536)
                    if not chunk:
                        raise ConnectionError("the server closed a connection")
                    received += chunk
                    if not _is_whole(received):
                        continue
                    statuses[received[_STATUS].decode("ascii")] += 1
                    received.clear()
                    request = next(waiting, b"")
                    if request:
                        sock.sendall(request)
                    else:
                        busy -= 1
        finally:
            for key in [*selector.get_map().values()]:
                key.data[0].close()
    return statuses


def _is_whole(received: bytearray) -> bool:
    """Return whether one response is whole, by its ``Content-Length``."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    _, found, rest = head.lower().partition(b"content-length:")
    if not found:
        raise ConnectionError(f"a response without Content-Length: {bytes(head[:80])!r}")
    return len(body) >= int(rest.partition(b"\r\n")[0])


class LoadGenerator:
    """A process that sends requests; they are prepared before it is timed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def prepare(self, name: str, tokens: Path, route: str = "/me") -> None:
        """Read one token a line from `tokens`, and keep the requests of `route` as `name`."""
        self._order(prepare=name, tokens=str(tokens), route=route)

    def send(self, port: int, name: str, first: int, count: int) -> None:
        """Send `count` requests of those kept as `name`, from `first` on, over and over.

        `ProcessDied` unless every one is answered with 200.
        """
        answer = self._order(port=port, send=name, first=first, count=count)
        if answer != {"200": count}:
            raise ProcessDied(f"{count} requests were answered with {answer}")

    def _order(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ProcessDied("the load generator ended")
        return json.loads(line)


@contextmanager
def load_generator() -> Iterator[LoadGenerator]:
    """Run a generator on the second core until the block ends."""
    with on_core(1):
        process = subprocess.Popen(
            [sys.executable, "-m", "rivals.load"],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        yield LoadGenerator(process)
        assert process.stdin is not None
        process.stdin.close()


def main() -> None:
    """Run the commands of standard input until it ends."""
    kept: dict[str, list[bytes]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "prepare" in order:
            tokens = Path(order["tokens"]).read_text("ascii").split()
            kept[order["prepare"]] = [request_bytes(token, order["route"]) for token in tokens]
            answer: dict[str, Any] = {}
        else:
            known, first = kept[order["send"]], order["first"]
            chosen = [known[(first + n) % len(known)] for n in range(order["count"])]
            try:
                answer = {**send_all(order["port"], chosen)}
            except OSError as error:
                answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
