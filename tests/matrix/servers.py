"""The servers of the matrix, each as a process of its own on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from free_ports import free_port

__all__ = ["SERVERS", "Server", "serving"]

_TESTS: Final = Path(__file__).parent.parent
_APP: Final = "matrix.served:app"
_START_SECONDS: Final = 60.0
_FAILURES: Final = 5
_STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server with one protocol.

    Attributes:
        name: Stands in the table.
        package: The distribution whose version is shown.
        module: What ``python -m`` runs.
        arguments: Of the command line; ``{port}`` is replaced.
        is_http2: Whether clients speak HTTP/2, by prior knowledge.

    """

    name: str
    package: str
    module: str
    arguments: tuple[str, ...]
    is_http2: bool = False


_UVICORN: Final = ("--port", "{port}", "--no-access-log", "--http")
_HYPERCORN: Final = ("--bind", "127.0.0.1:{port}")
_GRANIAN: Final = ("--interface", "asgi", "--port", "{port}", "--no-access-log")
_DAPHNE: Final = ("--port", "{port}", "--verbosity", "0")
_GUNICORN: Final = ("--worker-class", "uvicorn_worker.UvicornWorker", "--bind", "127.0.0.1:{port}")

SERVERS: Final = {
    key: Server(name=name, package=package, module=module, arguments=arguments, is_http2=is_http2)
    for key, name, package, module, arguments, is_http2 in (
        ("uvicorn-h11", "uvicorn h11", "uvicorn", "uvicorn", (*_UVICORN, "h11"), False),
        ("uvicorn", "uvicorn httptools", "uvicorn", "uvicorn", (*_UVICORN, "httptools"), False),
        ("hypercorn", "hypercorn HTTP/1.1", "hypercorn", "hypercorn", _HYPERCORN, False),
        ("hypercorn-h2", "hypercorn HTTP/2", "hypercorn", "hypercorn", _HYPERCORN, True),
        ("granian", "granian HTTP/1.1", "granian", "granian", _GRANIAN, False),
        ("granian-h2", "granian HTTP/2", "granian", "granian", _GRANIAN, True),
        ("daphne", "daphne", "daphne", "daphne", _DAPHNE, False),
        ("gunicorn", "gunicorn uvicorn-worker", "gunicorn", "gunicorn", _GUNICORN, False),
    )
}


@contextlib.asynccontextmanager
async def serving(
    server: Server, framework: str, folder: Path, *, is_wrapped: bool
) -> AsyncIterator[tuple[int, Path]]:
    """Serve the application of `framework`; yield the port, and the file of its lifespan.

    The server has ended when the block is left.

    Raises:
        RuntimeError: The server ended early, or does not answer.

    """
    port = free_port()
    kind = "wrapped" if is_wrapped else "unwrapped"
    name = f"{framework}-{server.name.replace(' ', '-').replace('/', '')}-{kind}-{port}"
    lifespan, log = folder / f"{name}.lifespan", folder / f"{name}.log"
    lifespan.unlink(missing_ok=True)
    environ = {
        "MATRIX_APP": framework,
        "MATRIX_FOLDER": str(folder),
        "MATRIX_LIFESPAN": lifespan.name,
        "MATRIX_WRAPPED": "yes" if is_wrapped else "",
        "PYTHONPATH": os.pathsep.join([str(_TESTS), os.environ.get("PYTHONPATH", "")]),
    }
    arguments = [part.format(port=port) for part in server.arguments]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", server.module, *arguments, _APP),
            cwd=folder,
            env={**os.environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await _answering(process, port, log)
        yield port, lifespan
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answering(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """Return as soon as the application answers."""
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    failures = 0
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while failures < _FAILURES and asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                raise RuntimeError(f"the server ended: {_end_of(log)}")
            with contextlib.suppress(httpx.HTTPError):
                status = (await client.get("/state", timeout=5)).status_code
                if status == 200:
                    return
                failures += status == 500
            await asyncio.sleep(0.05)
    raise RuntimeError(f"the server does not serve a request: {_end_of(log)}")


def _end_of(log: Path) -> str:
    """Return the last line that says something."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing in its log"
