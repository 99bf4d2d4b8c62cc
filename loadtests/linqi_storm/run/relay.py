"""A TCP relay to a server that can be closed and opened: a simulated outage."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Relay"]

_CHUNK: Final = 65_536


class Relay:
    """A context manager that relays to the server in `url`, in threads of its own.

    While it is closed every connection is cut and new ones end at once. A PostgreSQL URL with a
    socket folder instead of a host is supported.

    Attributes:
        url: The URL of the server through the relay.

    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
        folder = query.get("host", "").replace("%2F", "/")
        self._target: tuple[str, int] | str = (
            f"{folder}/.s.PGSQL.{query.get('port', '5432')}"
            if folder.startswith("/")
            else (parts.hostname or "127.0.0.1", parts.port or 5432)
        )
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._is_open = True
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        user, at, _ = parts.netloc.rpartition("@")
        place = f"{user}{at}127.0.0.1:{self._listener.getsockname()[1]}"
        rest = "" if folder.startswith("/") else parts.query
        self.url = urlunsplit((parts.scheme, place, parts.path, rest, ""))

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        # Closing alone does not wake a thread blocked in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def shut(self) -> None:
        """Cut every connection, and end new ones at once."""
        with self._lock:
            self._is_open = False
            cut = [*self._sockets]
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def move(self, url: str) -> None:
        """Cut every connection, and relay to the server in `url` from now on."""
        self.shut()
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self.open()

    def open(self) -> None:
        """Relay again."""
        with self._lock:
            self._is_open = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(near)
            try:
                far = stack.enter_context(self._connect())
            except OSError:
                return
            with self._lock:
                if not self._is_open:
                    return
                self._sockets |= {near, far}
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            with self._lock:
                self._sockets -= {near, far}

    def _connect(self) -> socket.socket:
        if isinstance(self._target, str):
            made = socket.socket(socket.AF_UNIX)
            made.connect(self._target)
            return made
        return socket.create_connection(self._target)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
