"""One server process under test: ``python -m linqi_storm.apps.worker SPEC --fd N --samples PATH``.

It serves on an inherited socket, so that a new worker can take over the socket without losing a
connection.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import sys
from pathlib import Path
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from linqi_storm.apps.embedded import build, read_spec
from linqi_storm.apps.sampler import Sampler

__all__ = ["main"]

_NICENESS: Final = 10
"""Lower priority than the generator: a generator that runs late makes the run void."""
_DRAIN_WAIT_SECONDS: Final = 0.1
_MOST_DRAIN_WAITS: Final = 50
"""How long new connections are kept without a request: 5 s, and longer if the worker waits for a
core."""


class _DrainingServer(uvicorn.Server):
    """Answers first requests on connections that it has just accepted.

    uvicorn closes such a connection when it ends, and the client, which may not repeat a request
    that failed on a new connection, gets no answer.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, answer first requests, and end as uvicorn does."""
        for server in self.servers:
            server.close()
        for _ in range(_MOST_DRAIN_WAITS):
            await asyncio.sleep(_DRAIN_WAIT_SECONDS)  # before the look: just accepted ones count
            if not self._has_new_connection():
                break
        await super().shutdown(sockets)

    def _has_new_connection(self) -> bool:
        """Return whether a connection has had no request yet."""
        return any(
            isinstance(connection, HttpToolsProtocol) and connection.cycle is None
            for connection in self.server_state.connections
        )


def main() -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m linqi_storm.apps.worker", description=__doc__)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    options = parser.parse_args()
    app = build(read_spec(options.spec), Sampler(options.samples))
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        loop="auto",  # uvloop, and on Windows asyncio
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        backlog=4_096,  # uvicorn sets that of the listener anew; the default is 2,048
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=5,
    )
    if sys.platform != "win32":
        os.nice(_NICENESS)  # not before: on a busy machine the imports would take half a minute
    with socket.socket(fileno=options.fd) as listener:
        _DrainingServer(config).run([listener])


if __name__ == "__main__":
    main()
