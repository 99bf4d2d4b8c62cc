"""Workers under test are replaced without losing a request."""

import asyncio
import contextlib
import socket
import threading
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from linqi import Key, KeySet
from linqi_storm.apps.embedded import AppSpec, page
from linqi_storm.apps.worker import _DrainingServer
from linqi_storm.run.worker_pool import WorkerPool

CALLERS, REPLACEMENTS = 8, 10
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n"


def test_requests_on_new_connections_are_answered_while_workers_are_replaced(
    tmp_path: Path,
) -> None:
    """A server of uvicorn alone closes one connection per replacement that it just accepted."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "key.json")
    spec = AppSpec(kind="sliding", lifetime=8, buffer=3, jwks=str(tmp_path / "key.json"), workers=1)
    has_ended = threading.Event()
    answers: list[bytes] = []
    with WorkerPool([spec], tmp_path).running() as workers:
        address = urlsplit(workers.url)

        def keep_asking() -> None:
            while not has_ended.is_set():
                answers.append(answer_of(str(address.hostname), int(address.port or 0)))

        callers = [threading.Thread(target=keep_asking) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for _ in range(REPLACEMENTS):
            workers.replace_all()
        has_ended.set()
        for caller in callers:
            caller.join()
    assert len(answers) > 10 * REPLACEMENTS
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 200 "}


@contextlib.asynccontextmanager
async def connection() -> AsyncIterator[tuple[_DrainingServer, Reader, Writer]]:
    """Serve as a worker does until the end of the context; yield it and a connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _DrainingServer(uvicorn.Config(page, http="httptools", log_level="warning"))
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        while not server.server_state.connections:
            await asyncio.sleep(0.01)
        yield server, reader, writer
        server.should_exit = True
        await serving
        writer.close()


async def test_a_worker_that_ends_waits_for_the_first_request_of_a_connection() -> None:
    """Its client may get no core between connecting and sending."""
    async with connection() as (server, reader, writer):
        server.should_exit = True
        while server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        for _ in range(10):  # turns of the loop, by which the server waits
            await asyncio.sleep(0.1)
        writer.write(REQUEST)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_a_worker_that_ends_waits_for_no_connection_that_had_a_request() -> None:
    """A client repeats what it sends on such a connection."""
    async with connection() as (server, reader, writer):
        assert server._has_new_connection()
        writer.write(REQUEST.replace(b"connection: close\r\n", b""))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert not server._has_new_connection()


def answer_of(host: str, port: int) -> bytes:
    """Return the first bytes that answer a request on a connection of its own, or the error."""
    with socket.create_connection((host, port), timeout=60) as made:
        try:
            made.sendall(REQUEST)
            return made.recv(64)
        except OSError as error:
            return repr(error).encode()
