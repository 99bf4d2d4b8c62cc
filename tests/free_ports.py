"""Ports of loopback that are free, for servers that cannot choose one themselves."""

import contextlib
import secrets
import socket

_PORTS = range(10_000, 32_768)
"""Below those that systems give to connections, and to servers that listen on port 0: on a busy
machine a server takes seconds to listen, and thousands of others are given meanwhile."""


def free_ports(count: int) -> list[int]:
    """Return ports that no process listens on now."""
    with contextlib.ExitStack() as stack:
        found: dict[int, socket.socket] = {}
        while len(found) < count:
            port = secrets.choice(_PORTS)
            with contextlib.suppress(OSError):
                found[port] = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        return [*found]


def free_port() -> int:
    """Return a port that no process listens on now."""
    return free_ports(1)[0]
