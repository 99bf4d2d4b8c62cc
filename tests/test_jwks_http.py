"""One bounded GET over real sockets: the request, decompression, and Retry-After."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import FakeTime
from linqi import Key, RefreshSettings, RemoteKeys, RemoteLimits
from linqi.errors import FetchFailed, Unavailable
from linqi.events import Event, KeysNotFetched
from linqi.jwks._body import BoundedBody
from linqi.jwks.freshness import Schedule, retry_after_of
from linqi.jwks.http import HttpFetch, HttpResponse

KEY = Key.generate("ES256")
JWKS = json.dumps({"keys": [KEY.public_jwk()]}).encode()
LIMITS = RemoteLimits(timeout=30, max_bytes=4096)
MONDAY = "Mon, 02 Nov 2026 08:00:00 GMT"
MONDAY_SECONDS = 1_793_606_400.0


class Answering:
    """A server on loopback that answers every GET alike and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = JWKS
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []

    async def __aenter__(self) -> "Answering":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/jwks.json"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        self.asked.append({n.lower(): v for n, _, v in (line.partition(": ") for line in head)})
        headers = {"content-length": str(len(self.body)), "connection": "close"} | self.headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {self.status} X\r\n{lines}\r\n".encode() + self.body)
        writer.close()

    async def get(self, limits: RemoteLimits = LIMITS) -> HttpResponse:
        """Fetch from here as `RemoteKeys` does."""
        fetch = HttpFetch(limits)
        try:
            return await fetch(self.url, {})
        finally:
            await fetch.aclose()


@pytest.fixture
async def server() -> AsyncIterator[Answering]:
    """Return a running server."""
    async with Answering() as server:
        yield server


async def test_a_key_set_is_asked_for_by_its_own_type(server: Answering) -> None:
    """Accept prefers the type of RFC 7517, section 8.5.2, then JSON; gzip is accepted."""
    await server.get()
    (asked,) = server.asked
    assert asked["accept"] == "application/jwk-set+json, application/json;q=0.9, */*;q=0.1"
    assert asked["accept-encoding"] == "gzip"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
async def test_a_compressed_answer_is_read(server: Answering, coding: str) -> None:
    """In one gzip member or in two (RFC 1952, section 2.2)."""
    server.headers = {"content-encoding": coding}
    for body in (gzip.compress(JWKS), gzip.compress(JWKS[:50]) + gzip.compress(JWKS[50:])):
        server.body = body
        assert (await server.get()).body == JWKS


async def test_remote_keys_verify_by_a_compressed_set(server: Answering) -> None:
    """A key of a compressed response verifies a token."""
    server.headers, server.body = {"content-encoding": "gzip"}, gzip.compress(JWKS)
    keys = RemoteKeys("https://id.example", ["ES256"], url=server.url, limits=LIMITS)
    await keys.start()
    await keys.close()
    assert keys.find("ES256", KEY.kid).is_same(KEY)


@pytest.mark.parametrize(
    ("coding", "body", "text"),
    [
        ("br", JWKS, "content coding 'br'"),
        ("deflate", zlib.compress(JWKS), "content coding 'deflate'"),
        ("gzip, gzip", gzip.compress(gzip.compress(JWKS)), "content coding 'gzip, gzip'"),
        ("gzip", JWKS, "not gzip"),
        ("gzip", gzip.compress(JWKS)[:-20], "truncated"),
        ("gzip", gzip.compress(JWKS)[:-8] + bytes(8), "not gzip"),
        ("gzip", gzip.compress(JWKS) + b"more", "not gzip"),
        ("gzip", gzip.compress(b"0" * 5000), "longer than 4096 bytes"),
        ("", b"0" * 5000, "longer than 4096 bytes"),
    ],
    ids=["br", "deflate", "twice", "plain", "short", "checksum", "tail", "inflates", "long"],
)
async def test_j3_what_cannot_be_read_whole_is_no_answer(
    server: Answering, coding: str, body: bytes, text: str
) -> None:
    """Another coding, a damaged body or a long one: the set at hand stays in use."""
    server.headers, server.body = {"content-encoding": coding} if coding else {}, body
    with pytest.raises(FetchFailed, match=text):
        await server.get()


def test_j3_a_gzip_bomb_stops_at_the_limit() -> None:
    """200 KB that would inflate to 200 MB: the memory stays near the limit."""
    bomb = gzip.compress(bytes(200_000_000))
    assert len(bomb) < 250_000
    body = BoundedBody("gzip", 262_144)
    tracemalloc.start()
    try:
        with pytest.raises(FetchFailed, match="longer than 262144 bytes"):
            body.feed(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 262_144


def test_j3_a_coding_that_yields_nothing_is_bounded_too() -> None:
    """Empty deflate blocks yield no data, so the compressed size is limited, too."""
    body = BoundedBody("gzip", 4096)
    header, empty_block = gzip.compress(b"")[:10], b"\0\0\0\xff\xff"
    body.feed(header + 800 * empty_block)
    with pytest.raises(FetchFailed, match="longer"):
        body.feed(20 * empty_block)


@given(data=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_a_body_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    """The sizes of the chunks do not matter."""
    packed = gzip.compress(data)
    body, at = BoundedBody("gzip", 4096), 0
    for cut in (*sorted(cuts), len(packed)):
        body.feed(packed[at:cut])
        at = max(at, cut)
    assert body.end() == data


@given(coding=st.sampled_from(["gzip", "", "identity"]), data=st.binary(max_size=300))
def test_v17_no_body_raises_anything_but_fetch_failed(coding: str, data: bytes) -> None:
    """V17: for any bytes."""
    body = BoundedBody(coding, 256)
    try:
        body.feed(data)
        body.end()
    except FetchFailed:
        pass


@pytest.mark.parametrize(
    ("retry_after", "date", "wait"),
    [
        ("", "", None),
        ("120", "", 120),
        ("0", MONDAY, 0),
        ("-5", "", None),
        ("1.5", "", None),
        ('"5"', "", None),
        ("soon", "", None),
        ("\u0665", "", None),
        ("99999999999", "", None),
        ("Mon, 02 Nov 2026 08:02:00 GMT", MONDAY, 120),
        ("Mon, 02 Nov 2026 08:02:00 GMT", "", 20),
        ("Mon, 02 Nov 2026 08:02:00 GMT", "nonsense", 20),
        ("Mon, 02 Nov 2026 07:00:00 GMT", MONDAY, 0),
        ("Monday, 02-Nov-26 08:02:00 GMT", MONDAY, 120),
        ("Mon, 99 Nov 2026 08:02:00 GMT", MONDAY, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(retry_after: str, date: str, wait: float | None) -> None:
    """RFC 9110, section 10.2.3; a date is compared with the issuer's Date if there is one."""
    assert retry_after_of(retry_after, date, MONDAY_SECONDS + 100) == wait


@given(st.text(), st.text())
def test_v17_no_retry_after_raises(retry_after: str, date: str) -> None:
    """V17: any text gives a number of seconds or None."""
    found = retry_after_of(retry_after, date, MONDAY_SECONDS)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("asked", "wait"), [(0, 30), (10, 30), (31, 31), (100, 100), (120, 120), (1e9, 120)]
)
def test_retry_after_lengthens_the_backoff_up_to_the_longest(asked: float, wait: float) -> None:
    """An issuer can lengthen the wait, but not beyond the setting."""
    schedule = Schedule(settings=RefreshSettings()).started(0, is_forced=True)
    assert schedule.failed(0, 0, asked_wait=asked).next_attempt_at == wait
    late = schedule.failed(0, 1, asked_wait=asked).next_attempt_at
    assert wait <= late <= wait * 1.1


def options(times: FakeTime, events: list[Event], server: Answering) -> Mapping[str, object]:
    """Return the arguments of keys whose clock is moved by hand."""
    return {"url": server.url, "limits": LIMITS, "hooks": [events.append], **times.options}


@pytest.mark.parametrize("status", [429, 503])
async def test_an_issuer_that_asks_to_wait_is_left_alone(server: Answering, status: int) -> None:
    """Until then no attempt is made, neither by schedule nor for a token; then it is."""
    times, events = FakeTime(), list[Event]()
    keys = RemoteKeys("https://id.example", ["ES256"], **options(times, events, server))  # type: ignore[arg-type]
    server.status, server.headers = status, {"retry-after": "100"}
    await keys.start()
    assert keys.state().next_attempt_in == pytest.approx(100, abs=11)
    with pytest.raises(Unavailable) as caught:
        keys.find("ES256", KEY.kid)
    assert caught.value.retry_after == pytest.approx(100, abs=11)
    times.move(99)
    assert not await keys.fetch_for("ES256", KEY.kid)
    assert len(server.asked) == 1
    assert [type(event) for event in events] == [KeysNotFetched]
    server.status, server.headers = 200, {}
    times.move(12)
    with pytest.raises(Unavailable):
        keys.find("ES256", KEY.kid)
    assert await keys.fetch_for("ES256", KEY.kid)
    assert keys.find("ES256", KEY.kid).is_same(KEY)
    await keys.close()


async def test_the_processes_of_a_machine_respect_it_together(
    server: Answering, tmp_path: Path
) -> None:
    """Processes read another one's Retry-After in the shared folder."""
    times, events = FakeTime(), list[Event]()
    folder = tmp_path / "shared"
    server.status, server.headers = 503, {"retry-after": "100"}
    for _ in range(2):
        keys = RemoteKeys(
            "https://id.example",
            ["ES256"],
            share=folder,
            **options(times, events, server),  # type: ignore[arg-type]
        )
        await keys.start()
        await keys.close()
        times.move(60)
    assert len(server.asked) == 1
    first, second = events
    assert isinstance(first, KeysNotFetched)
    assert isinstance(second, KeysNotFetched)
    assert "has just failed" in second.detail
    assert second.retry_in == pytest.approx(40, abs=11)
