"""Entries of Valkey's stream of revocations that this release cannot read."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from linqi.cli import main
from linqi.errors import Unavailable
from linqi.events import RevocationFeedLost, RevocationFeedRestored
from linqi.sessions.record import Revocation
from linqi.sessions.revocation import Revocations
from linqi.stores.valkey import ValkeyStore
from reading import Reading, reading
from waiting import until

LIFETIME, WINDOW = 900.0, 1800.0
NEWER = '{"kind":"tenant","value":"acme","at":%r,"until":%r}'
FOREIGN = [
    "",
    "{",
    '"},{"',
    "[]",
    "null",
    "\udcff",
    '{"kind":"session"}',
    '{"at":"x","until":1e999}',
]


class Stream:
    """A store, and the stream as the server has it."""

    def __init__(self, url: str) -> None:
        self.store = ValkeyStore(url, prefix=f"u{secrets.token_hex(4)}")
        self.client: Any = Redis.from_url(url)
        self.key = self.store._stream._stream

    async def add(self, text: str, seconds_ago: float = 0) -> str:
        """Add an entry that another program wrote so long ago; return its id."""
        entry = f"{(time.time() - seconds_ago) * 1000:.0f}-*" if seconds_ago else "*"
        data = text.encode(errors="surrogateescape")
        return str((await self.client.xadd(self.key, {"revocation": data}, id=entry)).decode())


@pytest.fixture
async def stream(valkey_url: str) -> AsyncIterator[Stream]:
    """Return a stream of this test's own."""
    made = Stream(valkey_url)
    await made.store.start()
    await made.store.raise_lifetime(LIFETIME)
    yield made
    await made.store.close()
    await made.client.aclose()


def session(name: str) -> Revocation:
    """Return a revocation that is not over."""
    now = time.time()
    return Revocation(kind="session", value=name, at=now, until=now + 1200)


@pytest.mark.parametrize("text", [NEWER % (1e9, 4e9), *FOREIGN])
async def test_k8_what_cannot_be_read_may_be_a_revocation(stream: Stream, text: str) -> None:
    """K8: the worker refuses what it could read, is not trusted, says why, and goes on after."""
    events: list[Any] = []
    known = Revocations(stream.store, hooks=[events.append])
    await stream.store.publish([session("before")])
    entry = await stream.add(text)
    await stream.store.publish([session("after")])
    starting = asyncio.create_task(known.start())
    await until(lambda: events and known.knows("after"))
    assert known.knows("before")
    assert not known.state().is_trusted
    (lost,) = [event for event in events if isinstance(event, RevocationFeedLost)]
    assert f"XDEL {stream.key} {entry}" in lost.detail
    await stream.client.xdel(stream.key, entry)
    await until(lambda: known.state().is_trusted)
    assert any(isinstance(event, RevocationFeedRestored) for event in events)
    await starting
    await known.close()


async def test_what_is_over_is_passed_whatever_it_says(stream: Stream) -> None:
    """By its end, or else by the time at which it was added: no valid token is as old."""
    now = time.time()
    await stream.add("{", WINDOW + 120)
    await stream.add(NEWER % (now - 1000, now - 100), 600)
    await stream.store.publish([session("s1")])
    async with reading(stream.store, now) as reader:
        await reader.until_caught_up()
        assert {one.value for one in reader.known} == {"s1"}


async def test_a_lasting_revocation_that_cannot_be_read_is_told(stream: Stream) -> None:
    """Those of post-dated tokens lie in a set of their own."""
    now = time.time()
    await stream.client.zadd(stream.store._stream._lasting, {NEWER % (now, now + 9e5): now + 9e5})
    with pytest.raises(Unavailable, match="tenant"):
        async with asyncio.timeout(30):
            await stream.store.follow(now, Reading())


async def test_store_init_tells_of_it(valkey_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before workers are started, as a warning with what to do."""
    client: Any = Redis.from_url(valkey_url)
    entry = (await client.xadd("linqi:revocations", {"revocation": "{"})).decode()
    assert await asyncio.to_thread(main, ["store", "init", valkey_url]) == 0
    said = capsys.readouterr().err
    assert "workers will answer 503" in said
    assert f"XDEL linqi:revocations {entry}" in said
    await client.xdel("linqi:revocations", entry)
    assert await asyncio.to_thread(main, ["store", "init", valkey_url]) == 0
    assert "503" not in capsys.readouterr().err
    await client.aclose()
