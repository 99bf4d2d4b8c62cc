"""PgBouncer before a PostgreSQL server, on the loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from free_ports import free_port

_CONFIGURATION = """
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 4
ignore_startup_parameters = extra_float_digits{ignored}
"""


@contextlib.contextmanager
def pgbouncer(dsn: str, mode: str = "transaction", *, ignored: str = "") -> Iterator[str]:
    """Run PgBouncer before the server of `dsn`; give the DSN of the same database through it.

    `ignored` are further settings that it drops when a client asks for them.
    """
    split = urlsplit(dsn)
    asked = parse_qs(split.query)
    host = asked["host"][0] if "host" in asked else str(split.hostname)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="linqi-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / "pgbouncer.ini"
        text = _CONFIGURATION.format(
            host=host,
            port=split.port or 5432,
            own_port=port,
            mode=mode,
            ignored=f", {ignored}" if ignored else "",
        )
        file.write_text(text)
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or "pgbouncer"
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [program, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=_owner(host),
            )
        try:
            _wait_for(port, server, folder / "log")
            yield f"postgresql://postgres@127.0.0.1:{port}{split.path}"
        finally:
            server.terminate()
            server.wait(60)


def _owner(host: str) -> int | None:
    """Return the user that may open the server's socket: PgBouncer does not run as root."""
    if os.geteuid() != 0:
        return None
    return Path(host).stat().st_uid if host.startswith("/") else 65534


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(1500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert server.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(log.read_text())
