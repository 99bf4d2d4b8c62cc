"""Bodies after a 401: sent again if possible; otherwise the refused token is remembered."""

import asyncio
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from linqi.client.tokens import tokens_of
from linqi_report.processes import running
from signed_in import Counting, CountingHttpx, forged

ALICE = {"username": "alice", "password": "any"}


@pytest.fixture(scope="module")
def echo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server with dual tokens whose /echo returns what it was sent."""
    log = tmp_path_factory.mktemp("echo") / "log"
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    with running(["echo_app", "0"], log, health="/", environment=environment) as url:
        yield url


@pytest.fixture(params=[(httpx2, Counting), (httpx, CountingHttpx)], ids=["httpx2", "httpx"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Return each library with its auth class."""
    return request.param


def refused(server: str, auth_class: Any) -> Any:
    """Return a client of a valid session whose access token the server refuses."""
    answer = httpx2.post(f"{server}/login", json=ALICE).raise_for_status()
    return auth_class(f"{server}/refresh", forged(tokens_of(answer.json(), None)))


def stream() -> Iterator[bytes]:
    """Return a body that can be read once."""
    yield b"once"


def test_a_multipart_body_whose_parts_can_seek_is_sent_again(
    echo_server: str, kind: Any, tmp_path: Path
) -> None:
    """A file, bytes and a field reach the server complete on the second try."""
    library, auth_class = kind
    auth = refused(echo_server, auth_class)
    path = tmp_path / "report.txt"
    path.write_bytes(b"from the disk " * 10_000)
    with library.Client(base_url=echo_server, auth=auth) as client, path.open("rb") as file:
        answer = client.post(
            "/echo",
            data={"title": "yearly"},
            files={"report": file, "note": ("n.txt", b"from memory"), "b": io.BytesIO(b"buffer")},
        )
    assert answer.status_code == 200
    assert auth.posts == 1
    body = answer.json()["body"]
    assert body.count("from the disk ") == 10_000
    for part in ("yearly", "from memory", "buffer"):
        assert part in body


async def test_an_asynchronous_multipart_body_is_sent_again(echo_server: str, kind: Any) -> None:
    """The same for the asynchronous clients."""
    library, auth_class = kind
    auth = refused(echo_server, auth_class)
    async with library.AsyncClient(base_url=echo_server, auth=auth) as client:
        answer = await client.post("/echo", files={"b": io.BytesIO(b"buffer")})
    assert answer.status_code == 200
    assert "buffer" in answer.json()["body"]


def test_a_401_at_a_stream_makes_the_next_request_renew_first(echo_server: str, kind: Any) -> None:
    """The stream is not sent twice; the next request is sent once, with a new token."""
    library, auth_class = kind
    auth = refused(echo_server, auth_class)
    with library.Client(base_url=echo_server, auth=auth) as client:
        assert client.post("/echo", content=stream()).status_code == 401
        assert auth.posts == 0
        answer = client.post("/echo", content=stream())
        assert (answer.status_code, answer.json()["body"]) == (200, "once")
        assert auth.posts == 1
        assert client.post("/echo", content=stream()).status_code == 200
        assert auth.posts == 1


async def test_a_401_at_an_asynchronous_stream_makes_the_next_request_renew_first(
    echo_server: str, kind: Any
) -> None:
    """The same for the asynchronous clients; all following requests wait for one renewal."""
    library, auth_class = kind
    auth = refused(echo_server, auth_class)

    async def body() -> Any:
        yield b"once"

    async with library.AsyncClient(base_url=echo_server, auth=auth) as client:
        assert (await client.post("/echo", content=body())).status_code == 401
        calls = [client.post("/echo", content=body()) for _ in range(5)]
        answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200] * 5
    assert auth.posts == 1


class Once(io.BytesIO):
    """A file like that of a socket: it can be read once and cannot seek."""

    def seekable(self) -> bool:
        """Return False."""
        return False

    def seek(self, *_: Any) -> int:
        """Refuse."""
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        """Refuse."""
        raise io.UnsupportedOperation("tell")


def test_a_multipart_body_that_cannot_seek_is_not_sent_again(echo_server: str, kind: Any) -> None:
    """It can be read only once: the 401 is returned, and no partial body is sent."""
    library, auth_class = kind
    auth = refused(echo_server, auth_class)
    with library.Client(base_url=echo_server, auth=auth) as client:
        assert client.post("/echo", files={"part": Once(b"from a socket")}).status_code == 401
        assert auth.posts == 0
        answer = client.post("/echo", files={"part": Once(b"from a socket")})
        assert answer.status_code == 200
        assert "from a socket" in answer.json()["body"]
        assert auth.posts == 1


def test_a_token_that_was_refused_is_forgotten_with_its_session(echo_server: str) -> None:
    """Only the refused token is affected: the token of a new login is sent at once."""
    auth = refused(echo_server, Counting)
    with httpx2.Client(base_url=echo_server, auth=auth) as client:
        assert client.post("/echo", content=stream()).status_code == 401
        answer = httpx2.post(f"{echo_server}/login", json=ALICE)
        auth.renewal.sign_in(tokens_of(answer.json(), None), time.time())
        assert client.post("/echo", content=stream()).status_code == 200
    assert auth.posts == 0
