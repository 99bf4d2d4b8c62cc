"""What a request costs the load generator on this machine now, and how late its timers are.

``python -m linqi_storm.clients.calibration`` drives the clients of a small storm for less than a
second against a responder process that answers every request with the same bytes, and prints the
measurement as JSON. It is the load of `bare_load`.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from linqi import LinqiError
from linqi_storm.schema.load import StormLoad

__all__ = ["CalibrationError", "MachinePace", "calibrate"]

_LOAD: Final = StormLoad(
    sessions=900, lifetime=900, buffer=300, duration=0.7, gap=0.15, pages=False
)
"""6,000 requests per second: a generator that sends fewer pays more for each, and can."""
_RESPONSE: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n"
    b'{"sub":"user"}\n'
)
_PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePace:
    """What the machine can do now."""

    request_us: float
    """CPU time of the generator for one request, in microseconds."""
    lag_p99_ms: float
    """How late requests were sent, with the machine's other processes as they are now."""
    requests: int


class CalibrationError(LinqiError):
    """The load generator could not be measured; the message says why."""

    code = "calibration_failed"


def calibrate() -> MachinePace:
    """Return the pace of this machine, measured in a process of its own.

    Raises:
        CalibrationError: If the measurement fails.

    """
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-m", __name__],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.SubprocessError as error:
        stderr: bytes = error.stderr if isinstance(error, subprocess.CalledProcessError) else b""
        why = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or str(error)
        raise CalibrationError(f"the load generator could not be measured: {why}") from error
    return msgspec.json.decode(done.stdout, type=MachinePace)


def _measure(url: str) -> MachinePace:
    from linqi_storm.clients.bare_load import drive  # it patches the process for gevent

    driven = drive(url, _LOAD)
    return MachinePace(
        request_us=driven.cpu_us / max(1, driven.requests),
        lag_p99_ms=driven.totals.lag.get_value_at_percentile(99) / 1000,
        requests=driven.requests,
    )


class _Responder(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that ends in `data`."""
        self._transport.write(_RESPONSE * data.count(b"\r\n\r\n"))


async def _respond() -> None:
    server = await asyncio.get_running_loop().create_server(_Responder, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def _responder() -> Iterator[str]:
    """Run the responder in a process of its own; yield its URL."""
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", __spec__.name, "respond"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["respond"]:
        asyncio.run(_respond())
    else:
        with _responder() as url:
            sys.stdout.buffer.write(msgspec.json.encode(_measure(url)))
