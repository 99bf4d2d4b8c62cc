"""Notes: short texts that all workers share, on every store."""

import asyncio
from collections.abc import Callable

import pytest

from clock import FakeClock
from linqi._notes import KeepsNotes, NoteStore
from linqi.errors import Unavailable
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore


def notes_of(store: SessionStore) -> NoteStore:
    """Return the notes of a store, which every store of linqi has."""
    assert isinstance(store, KeepsNotes)
    return store.notes()


async def test_a_note_is_read_by_all_workers_until_it_ends(
    make_store: Callable[[], SessionStore],
) -> None:
    """Its end is by the store's clock; a later one with the same name takes its place."""
    one, two = make_store(), make_store()
    await one.start()
    await two.start()
    text = 'a "quoted" text\nof two lines \u00e9'
    await notes_of(one).put("t1", "w1", "old", 30)
    await notes_of(one).put("t1", "w1", text, 30)
    await notes_of(two).put("t1", "w2", "", 30)
    await notes_of(two).put("t2", "w1", "of another kind", 30)
    found = await notes_of(two).read("t1")
    assert {name: note.text for name, note in found.items()} == {"w1": text, "w2": ""}
    assert 0 <= found["w1"].age < 30
    await notes_of(two).put("t1", "w2", "ends soon", 0.1)
    async with asyncio.timeout(20):
        while [*await notes_of(one).read("t1")] != ["w1"]:
            await asyncio.sleep(0.02)
    await one.close()
    await two.close()


async def test_one_of_many_claims_a_name_until_it_is_dropped(store: SessionStore) -> None:
    """A claim is a lock whose end is bounded: that of a worker that died ends by itself."""
    notes = notes_of(store)
    won = await asyncio.gather(*[notes.claim("lock", "l", f"w{n}", 30) for n in range(10)])
    assert won.count(True) == 1
    holder = (await notes.read("lock"))["l"].text
    await notes.drop("lock", "l", "another's")
    assert not await notes.claim("lock", "l", "late", 30)
    await notes.drop("lock", "l", holder)
    assert await notes.claim("lock", "l", "dies", 0.1)
    async with asyncio.timeout(20):
        while not await notes.claim("lock", "l", "waits", 30):
            await asyncio.sleep(0.02)
    assert {name: note.text for name, note in (await notes.read("lock")).items()} == {"l": "waits"}


async def test_workers_that_write_at_once_delete_what_has_ended(store: SessionStore) -> None:
    """Neither waits for the other for ever, and the notes of dead workers do not pile up."""
    notes = notes_of(store)
    for n in range(30):
        await notes.put("beat", f"dead{n}", "x", 0.01)
    await asyncio.sleep(0.05)
    for _ in range(3):
        await asyncio.gather(*[notes.put("beat", f"w{n}", "x", 30) for n in range(20)])
    assert sorted(await notes.read("beat")) == sorted(f"w{n}" for n in range(20))
    await asyncio.gather(*[notes.drop("beat", f"w{n}", "x") for n in range(20)])
    assert await notes.read("beat") == {}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_end_of_a_note_is_by_the_stores_clock(
    kind: str, clock: FakeClock, tmp_path: object
) -> None:
    """A note ends at its exact second."""
    store = MemoryStore(clock=clock)
    if kind == "sqlite":
        store = SQLiteStore(f"{tmp_path}/sessions.db", clock=clock)  # type: ignore[assignment]
    await store.start()
    await notes_of(store).put("t", "n", "x", 20)
    clock.move(19.5)
    assert (await notes_of(store).read("t"))["n"].age == pytest.approx(19.5)
    clock.move(0.5)
    assert await notes_of(store).read("t") == {}
    assert await notes_of(store).claim("t", "n", "y", 20)
    await store.close()


async def test_a_store_that_was_not_started_says_so(postgres_dsn: str, valkey_url: str) -> None:
    """No note is lost in silence."""
    from linqi.stores.valkey import ValkeyStore

    for store in (PostgresStore(postgres_dsn), ValkeyStore(valkey_url)):
        with pytest.raises(Unavailable, match="not started"):
            await notes_of(store).put("t", "n", "x", 20)
