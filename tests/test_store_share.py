"""Key sets of outside issuers that workers share through a store."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clock import FakeClock
from core_time import core_time
from linqi import ConfigurationError, Key, KeySet, MemoryStore, Snapshot, StoreShare
from linqi._notes import Note, NoteStore
from linqi.config import build, load
from linqi.config.faults import InvalidConfig
from linqi.errors import FetchFailed, UnknownKey
from linqi.jwks.store_share import _SharedNote
from linqi.stores.valkey import ValkeyStore
from outside import Issuer, verifier_of
from test_key_hosts import Host

ISSUER = "https://id.example"
SECRET = Key.generate("HS256")


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Return a running issuer."""
    async with Issuer() as issuer:
        yield issuer


def shared(notes: NoteStore, secret: Any = SECRET, **options: Any) -> _SharedNote:
    """Return the shared snapshot of one worker."""
    settled: dict[str, Any] = {
        "wait_seconds": 0.3,
        "lease_seconds": 0.6,
        "kept_seconds": 7200,
        "most_bytes": 1000,
    }
    return StoreShare(notes, secret).of(ISSUER, **settled | options)


def text_of(notes: NoteStore) -> str:
    """Return the stored snapshot as it stands in a memory store."""
    (kind,) = notes._kinds  # type: ignore[attr-defined]
    text: str = notes._kinds[kind]["set"][0]  # type: ignore[attr-defined]
    return text


async def replace(notes: NoteStore, text: str) -> None:
    """Write a text in place of the stored snapshot, as a party does that can write the store."""
    (kind,) = notes._kinds  # type: ignore[attr-defined]
    await notes.put(kind, "set", text, 7200)


async def test_the_instants_are_on_the_clock_of_each_worker() -> None:
    """Hosts whose clocks differ by hours agree on the age of a set and on the cooldown."""
    notes = MemoryStore().notes()
    ahead, behind = FakeClock(time.time() + 7200), FakeClock(time.time())
    one, two = shared(notes, clock=ahead), shared(notes, clock=behind)
    made = Snapshot(
        issuer=ISSUER,
        url="https://id.example/jwks",
        etag='"1"',
        jwks='{"keys":[]}',
        fetched_at=ahead.now - 60,
        attempted_at=ahead.now - 5,
    )
    async with one.turn():
        await one.write(made)
    found = await two.read()
    assert found is not None
    assert found.fetched_at == pytest.approx(behind.now - 60, abs=1)
    assert found.attempted_at == pytest.approx(behind.now - 5, abs=1)
    assert (found.forced_at, found.retry_at) == (0, 0)
    assert await two.read() is found
    assert await one.read() == made


async def test_j7_neither_url_nor_etag_of_another_worker_is_used() -> None:
    """Requests go where this worker found the key set itself; a 304 confirms its own set only."""
    notes = MemoryStore().notes()
    one, two = shared(notes), shared(notes)
    async with one.turn():
        await one.write(Snapshot(issuer=ISSUER, jwks="{}", url="https://evil.example", etag='"1"'))
    found = await two.read()
    assert found is not None
    assert (found.url, found.etag) == ("", "")


async def test_j7_a_set_without_the_mac_of_a_worker_is_not_used() -> None:
    """Another secret, a changed text, another issuer, or no MAC at all: the issuer is asked."""
    notes = MemoryStore().notes()
    good = shared(notes)
    async with good.turn():
        await good.write(Snapshot(issuer=ISSUER, jwks='{"keys":[]}', fetched_at=time.time()))
    text = text_of(notes)
    mac, _, body = text.partition(" ")
    others = MemoryStore().notes()
    forger = shared(others, Key.generate("HS256"))
    async with forger.turn():
        await forger.write(Snapshot(issuer=ISSUER, jwks='{"keys":["mine"]}'))
    foreign = StoreShare(others, SECRET).of(
        "https://other.example", wait_seconds=1, lease_seconds=1, kept_seconds=9, most_bytes=999
    )
    for forged in (
        text_of(others),
        text.replace('{\\"keys\\":[]}', '{\\"keys\\":[1]}'),
        body,
        f"{mac}x {body}",
        f"\u00e9 {body}",
        mac,
        "",
    ):
        assert forged != text
        await replace(notes, forged)
        fresh = shared(notes)
        assert await fresh.read() is None
        assert "damaged" in fresh.fault
    await replace(notes, text)
    assert await shared(notes).read() is not None
    assert await shared(notes, most_bytes=5).read() is None
    async with foreign.turn():
        await foreign.write(Snapshot(issuer=ISSUER, jwks="{}"))
    assert await foreign.read() is not None  # its own, which it does not check
    kinds = others._kinds  # type: ignore[attr-defined]
    await replace(notes, next(kind["set"][0] for kind in reversed(kinds.values())))
    assert await shared(notes).read() is None


async def test_j7_an_old_set_that_is_put_back_is_as_old_as_it_is(clock: FakeClock) -> None:
    """A withdrawn key verifies no longer than the old set would have been trusted."""
    notes = MemoryStore(clock=clock).notes()
    one = shared(notes, clock=clock)
    async with one.turn():
        await one.write(Snapshot(issuer=ISSUER, jwks="{}", fetched_at=clock.now))
    old, began = text_of(notes), clock.now
    clock.move(4000)
    await replace(notes, old)
    found = await shared(notes, clock=clock).read()
    assert found is not None
    assert began <= found.fetched_at <= began + 300
    clock.move(4000)
    await replace(notes, old)
    assert await shared(notes, clock=clock).read() is None


async def test_the_secret_may_be_rotated() -> None:
    """All secrets check, the newest that may sign makes the MAC; a public key is refused."""
    notes, new = MemoryStore().notes(), Key.generate("HS256")
    both = shared(notes, KeySet([SECRET, new]))
    async with both.turn():
        await both.write(Snapshot(issuer=ISSUER, jwks="{}"))
    assert await shared(notes, new).read() is not None
    assert await shared(notes, SECRET).read() is None
    with pytest.raises(ConfigurationError, match="HMAC"):
        StoreShare(notes, Key.generate("ES256"))


async def test_the_secrets_are_those_that_sessions_take() -> None:
    """A list of secrets, the newest last, counts as the set of them does."""
    notes, new = MemoryStore().notes(), Key.generate("HS256")
    both = shared(notes, (SECRET, new))
    async with both.turn():
        await both.write(Snapshot(issuer=ISSUER, jwks="{}"))
    assert await shared(notes, KeySet([SECRET, new])).read() is not None
    assert await shared(notes, SECRET).read() is None
    with pytest.raises(ConfigurationError):
        StoreShare(notes, [])


async def test_one_worker_at_a_time_has_the_turn() -> None:
    """The wait of the others ends; the turn of a worker that died ends by itself."""
    notes = MemoryStore().notes()
    one, two = (shared(notes, lease_seconds=30) for _ in range(2))
    async with one.turn():
        with pytest.raises(FetchFailed, match="another worker"):
            async with two.turn():
                raise AssertionError
    async with two.turn():
        pass
    killed = shared(notes)
    patient = shared(notes, wait_seconds=5)
    began = core_time()
    await killed._claim()
    async with patient.turn():
        assert 0.3 < core_time() - began < 2
    await killed.write(Snapshot(issuer=ISSUER, jwks="late"))
    assert await two.read() is None  # its turn had passed


class Broken:
    """A store that is down."""

    def __getattr__(self, name: str) -> Any:
        from linqi.errors import Unavailable

        async def fail(*_: Any) -> Note:
            raise Unavailable("the store is down")

        return fail


async def test_without_the_store_each_worker_asks_for_itself(issuer: Issuer) -> None:
    """The keys stay usable, and the state says what is wrong."""
    keys = issuer.keys(share=StoreShare(Broken(), SECRET))  # type: ignore[arg-type]
    await keys.start()
    assert keys.state().is_ready
    assert "the store is down" in keys.state().share_fault


async def test_a_rotation_seen_by_one_reaches_the_others(
    issuer: Issuer, make_store: Callable[[], Any]
) -> None:
    """On each store: the second worker finds the new key there, without a request."""
    stores = [make_store(), make_store()]
    for store in stores:
        await store.start()
    sources = [issuer.keys(share=StoreShare(store.notes(), SECRET)) for store in stores]
    for keys in sources:
        await keys.start()
    assert issuer.counts()[1] == 1
    issuer.control("rotate")
    token = issuer.token()
    for keys in sources:
        verifier = verifier_of(keys)
        with pytest.raises(UnknownKey):
            verifier.verify(token)
        assert await verifier.fetch_key(token)
        verifier.verify(token)
    assert issuer.counts()[1] == 2
    assert [keys.state().share_fault for keys in sources] == ["", ""]
    for store in stores:
        await store.close()


ISSUERS = """
[jwks]
share_in_store = true
least_lifetime_seconds = 1
lifetime_seconds = 1
most_lifetime_seconds = 12
cooldown_seconds = 1

[[issuers]]
issuer = "{issuer}"
algorithms = ["ES256"]
audience = ["{audience}"]
"""


@pytest.fixture(params=["valkey", "postgres"])
def hosts(request: pytest.FixtureRequest, tmp_path: Path, issuer: Issuer) -> Iterator[list[Host]]:
    """Return three workers of three hosts that share one store, started together."""
    from linqi.cli import main
    from linqi_storm.outside.issuer import AUDIENCE

    name = "valkey_url" if request.param == "valkey" else "postgres_dsn"
    url = request.getfixturevalue(name)
    more = ISSUERS.format(issuer=issuer.url, audience=AUDIENCE)
    made = [Host(tmp_path / name, url, more) for name in ("a", "b", "c")]
    for key_file, alg in (("keys.json", "ES256"), ("refresh.json", "HS256")):
        assert main(["keygen", "--alg", alg, "--out", str(made[0].folder / key_file)]) == 0
    for host in made[1:]:
        host.take(made[0])
    for host in made:
        host.launch()
    for host in made:
        host.wait()
    yield made
    for host in made:
        host.kill(signal.SIGTERM)


@pytest.mark.distributed
async def test_three_workers_of_three_hosts_fetch_once_for_all(
    hosts: list[Host], issuer: Issuer
) -> None:
    """At the start, at each refresh, for a new key and while it is down; the issuer counts."""
    began, between = hosts[0].launched_at, 12 * 0.72  # seconds to the next refresh, at the least

    def allowed() -> float:
        return 1 + (time.monotonic() - began) // between

    assert 1 <= issuer.counts()[1] <= allowed()
    async with httpx2.AsyncClient(timeout=20) as http:

        async def answers(token: str) -> list[int]:
            bearer = {"authorization": f"Bearer {token}"}
            found = await asyncio.gather(*[http.get(host.base, headers=bearer) for host in hosts])
            return [answer.status_code for answer in found]

        assert await answers(issuer.token()) == [200, 200, 200]
        await asyncio.sleep(14)
        assert 2 <= issuer.counts()[1] <= allowed()
        issuer.control("rotate")
        assert await answers(issuer.token()) == [200, 200, 200]
        assert issuer.counts()[1] <= 1 + allowed()
        issuer.fault("error")
        token, before = issuer.token(), sum(issuer.counts())
        while sum(issuer.counts()) == before:
            await asyncio.sleep(0.1)
        await asyncio.sleep(4)
        assert await answers(token) == [200, 200, 200]
        assert sum(issuer.counts()) - before <= 5  # after 1, 2 and 4 s, for all of them


def test_sharing_in_the_store_needs_a_store_and_no_folder(tmp_path: Path) -> None:
    """Both are named as faults of linqi.toml."""
    (tmp_path / "linqi.toml").write_text(
        "[jwks]\nshare_in_store = true\n"
        '[[issuers]]\nissuer = "https://id.example"\nalgorithms = ["ES256"]\naudience = ["a"]\n'
    )
    with pytest.raises(InvalidConfig, match="share_in_store of"):
        build(load(tmp_path / "linqi.toml"))
    text = (
        (tmp_path / "linqi.toml")
        .read_text()
        .replace("share_in_store", 'share_folder = "s"\nshare_in_store')
    )
    (tmp_path / "linqi.toml").write_text(text)
    with pytest.raises(InvalidConfig, match="share_folder is set too"):
        build(load(tmp_path / "linqi.toml"))


async def test_a_store_that_was_never_started_delays_the_first_request_only() -> None:
    """However short the timeout of requests is: the worker then asks the issuer for itself."""
    note = StoreShare(ValkeyStore("valkey://127.0.0.1:1").notes(), SECRET).of(
        ISSUER, wait_seconds=0.1, lease_seconds=1, kept_seconds=60, most_bytes=1000
    )
    for _ in range(2):
        async with note.turn():
            assert "not started" in note.fault
