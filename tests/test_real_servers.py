"""Connections on real servers: what ends with its token ends on each of them."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest
import websockets

from linqi import Key, RenewalSettings, SlidingRenewal
from real_servers import serving
from tokens import signer_of

SECRET = secrets.token_bytes(32)
SIGNER = signer_of(Key.from_secret(SECRET, "HS256"))
SOCKETS = 20


@pytest.fixture(scope="module", params=["uvicorn", "hypercorn", "granian", "daphne"])
def server(request: pytest.FixtureRequest) -> str:
    """Return one server after the other."""
    return str(request.param)


@pytest.fixture(scope="module")
def port(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve connections_app by `server`."""
    log: Path = tmp_path_factory.mktemp("server") / f"{server}.log"
    environ = {"LINQI_SECRET": SECRET.hex()}
    with serving(server, "connections_app:app", log, environ=environ) as port:
        yield port


def renewal_of(seconds: float) -> SlidingRenewal:
    """Return a renewal whose tokens live `seconds`."""
    settings = RenewalSettings(lifetime=seconds, buffer=seconds / 3, whole_seconds=False)
    return SlidingRenewal(SIGNER, settings)


def token_of(seconds: float) -> str:
    """Return a token that lives `seconds`."""
    return renewal_of(seconds).start("alice").token


def heard(port: int) -> dict[str, list[str]]:
    """Return what the application and its hooks heard."""
    with urlopen(f"http://127.0.0.1:{port}/heard", timeout=30) as answer:
        told: dict[str, list[str]] = json.load(answer)
    return told


async def end_of(port: int) -> int | None:
    """Open a socket whose token ends soon, and return the code of its close."""
    headers = {"authorization": f"Bearer {token_of(3)}"}
    url = f"ws://127.0.0.1:{port}/ws"
    async with websockets.connect(url, additional_headers=headers, open_timeout=20) as client:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 20)
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_every_socket_gets_the_close_of_its_ended_token(port: int) -> None:
    """The close is sent before the application, which returns at once, receives the end.

    A server that sees the application return with the close unsent leaves the peer connected
    (granian, in two of five cases).
    """
    before = len(heard(port)["events"])
    codes = await asyncio.gather(*[end_of(port) for _ in range(SOCKETS)])
    assert codes == [4401] * SOCKETS
    for _ in range(600):  # the last ones are told after their clients saw the close
        events = heard(port)["events"][before:]
        if len(events) == SOCKETS:
            break
        await asyncio.sleep(0.05)
    assert [event.split("(")[0] for event in events] == ["SocketClosed"] * SOCKETS


async def upload(port: int, headers: bytes, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Send a request without a token in pieces, then another on the same connection.

    Returns the beginnings of both status lines; the second is empty where the server closed.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST /upload HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n")
        for piece in pieces:
            await writer.drain()
            await asyncio.sleep(0.01)  # the server answers now if it does not wait for the body
            writer.write(piece)
        async with asyncio.timeout(20):
            first = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"error":"unauthorized"}'))
            if b"connection: close" in first.lower():
                return first[:12], await reader.read()
            writer.write(b"GET /heard HTTP/1.1\r\nhost: x\r\n\r\n")
            second = await reader.readline()
    finally:
        writer.close()
    return first[:12], second[:12]


async def test_a_refused_upload_gets_its_answer(port: int) -> None:
    """The 401 arrives although the body came after the headers, and the connection lives on.

    The middleware waits for a quarter of a second for the body. Where this machine was too busy to
    send it by then, the uploads say nothing, and are repeated.
    """
    body = [b"x" * 4096] * 4
    length = b"content-length: 16384\r\n"
    chunked = [*[b"1000\r\n" + piece + b"\r\n" for piece in body], b"0\r\n\r\n"]
    wanted = (b"HTTP/1.1 401", b"HTTP/1.1 200")
    for headers, pieces in ((length, body), (b"transfer-encoding: chunked\r\n", chunked)):
        for _ in range(50):
            began = time.monotonic()
            uploads = [upload(port, headers, pieces) for _ in range(5)]
            answers = await asyncio.gather(*uploads, return_exceptions=True)
            if time.monotonic() < began + 0.2:
                break
        assert answers == [wanted] * 5


def client_of(port: int, *, is_http2: bool = False) -> httpx.AsyncClient:
    """Return a client; HTTP/2 without TLS is spoken by prior knowledge."""
    base = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(base_url=base, http1=not is_http2, http2=is_http2, timeout=20)


async def test_a_refused_upload_leaves_other_requests_of_its_http2_connection_alone(
    tmp_path: Path,
) -> None:
    """DATA after a complete response ends hypercorn's whole connection; the body is read first."""
    environ = {"LINQI_SECRET": SECRET.hex()}

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.01)
            yield b"x" * 4096

    with serving("hypercorn", "connections_app:app", tmp_path / "log", environ=environ) as port:
        async with client_of(port, is_http2=True) as client:
            headers = {"authorization": f"Bearer {token_of(600)}"}
            async with client.stream("GET", "/events", headers=headers) as stream:
                events = stream.aiter_lines()
                assert await anext(events) == "id: 1"
                refused = await client.post("/upload", content=body())
                assert (refused.http_version, refused.status_code) == ("HTTP/2", 401)
                assert "connection" not in refused.headers
                async for line in events:
                    if line == "id: 20":
                        break
                else:
                    pytest.fail("the other request was cut off")


async def read_events(
    client: httpx.AsyncClient, token: str, begun: asyncio.Event | None = None
) -> tuple[int, float]:
    """Read the event stream to its end; return the last event's number and when the end came.

    With the first event `begun` is set.
    """
    number = 0
    headers = {"authorization": f"Bearer {token}"}
    async with client.stream("GET", "/events", headers=headers) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
                if begun is not None:
                    begun.set()
    return number, time.time()


@pytest.mark.parametrize("is_http2", [False, True])
async def test_event_streams_end_with_their_token(port: int, server: str, is_http2: bool) -> None:
    """The body ends properly at exp and the grace; the application receives the disconnect."""
    if is_http2 and server not in ("hypercorn", "granian"):
        return
    before = heard(port)
    async with client_of(port, is_http2=is_http2) as client:
        assert (await client.get("/heard")).http_version == ("HTTP/2" if is_http2 else "HTTP/1.1")
        issued = renewal_of(3).start("alice")
        ends = await asyncio.gather(*[read_events(client, issued.token) for _ in range(5)])
    for number, at in ends:
        assert number > 0
        assert at >= issued.expires_at + 0.49
    for _ in range(600):
        after = heard(port)
        if [len(after[kind]) - len(before[kind]) for kind in ("ended", "events")] == [5, 5]:
            break
        await asyncio.sleep(0.05)
    assert after["ended"][-5:] == ["http.disconnect"] * 5
    events = after["events"][len(before["events"]) :]
    assert [event.split("(")[0] for event in events] == ["StreamClosed"] * 5


async def test_a_revocation_ends_event_streams(port: int) -> None:
    """Within check_seconds, although the token lives for ten minutes more."""
    issued, begun = renewal_of(600).start("alice"), asyncio.Event()
    async with client_of(port) as client:
        reading = asyncio.create_task(read_events(client, issued.token, begun))
        await asyncio.wait_for(begun.wait(), 20)
        assert not reading.done()
        await client.get(f"/revoke?{issued.session_id}")
        number, _ = await asyncio.wait_for(reading, 20)
    assert number > 0
