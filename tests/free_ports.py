"""A port of loopback that is free, for a server that cannot choose one itself."""

import socket


def free_port() -> int:
    """Return a port that no process listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
