"""The keys that workers announce to each other, in one process."""

import json
from typing import Any

import pytest

from clock import FakeClock
from linqi import ConfigurationError, Key, KeyAnnouncer, KeySet, MemoryStore, Sessions, Signer
from linqi.commands.key_holders import of_file
from linqi.errors import RefreshRefused, Unavailable, UnknownKey
from linqi.events import Event, KeysMissing, KeysNotAnnounced
from linqi.jose.rotation import publish
from linqi.sessions.key_announcer import KEYS_NOTE, read_announced
from linqi.sessions.refresh_token import RefreshTokens, new_session_id

OLD, NEW = (Key.generate("ES256", kid=kid) for kid in ("old", "new"))
SECRET, FRESH = (Key.generate("HS256", kid=kid) for kid in ("secret", "fresh"))


def worker(
    store: MemoryStore, *keys: Key, issuer: str = "https://shop.example", **options: Any
) -> tuple[KeyAnnouncer, KeySet, KeySet, list[Event]]:
    """Return the announcer of one worker, its two key sets and what it tells."""
    events: list[Event] = []
    signing = KeySet([key for key in keys if key.kty != "oct"])
    secrets = KeySet([key for key in keys if key.kty == "oct"])
    signer = Signer(signing, issuer=issuer, audience="shop")
    sessions = Sessions(store, signer, secrets, hooks=[])
    return (
        KeyAnnouncer(sessions, secrets, hooks=[events.append], **options),
        signing,
        secrets,
        events,
    )


async def test_j6_a_key_that_others_have_is_unavailable_until_it_is_read() -> None:
    """503 for the access token and the refresh token; 401 for a key that none has."""
    store = MemoryStore()
    ahead, *_ = worker(store, OLD, NEW, SECRET, FRESH)
    behind, signing, secrets, events = worker(store, OLD, SECRET)
    await ahead.start()
    await behind.start()
    (event,) = events
    assert isinstance(event, KeysMissing)
    assert event.keys == ("fresh", "new")
    with pytest.raises(Unavailable, match="other workers have the key"):
        signing.find("ES256", "new")
    with pytest.raises(UnknownKey):
        signing.find("ES256", "invented")
    made = RefreshTokens(FRESH, issuer="i").make(new_session_id("bob"), 0, 2e9)
    tokens = RefreshTokens(secrets, issuer="i")
    with pytest.raises(Unavailable, match="refresh secret"):
        tokens.check(made)
    with pytest.raises(RefreshRefused, match="not a refresh token"):
        tokens.check("lqr_x")
    signing.replace([OLD, NEW])
    secrets.replace([SECRET, FRESH])
    await behind.announce()
    assert signing.find("ES256", "new") is NEW
    assert tokens.check(made).counter == 0
    await ahead.close()
    await behind.close()
    assert await store.notes().read(KEYS_NOTE) == {}


async def test_a_key_that_was_removed_here_is_refused(clock: FakeClock) -> None:
    """A stolen key is 401 at once, although a worker that is behind still announces it."""
    store = MemoryStore()
    late, *_ = worker(store, OLD, NEW, SECRET)
    quick, signing, _, events = worker(store, OLD, NEW, SECRET)
    await late.start()
    await quick.start()
    signing.replace([NEW])
    await quick.announce()
    with pytest.raises(UnknownKey):
        signing.find("ES256", "old")
    assert events == []
    await late.close()
    await quick.close()


async def test_another_deployment_in_the_same_store_does_not_count() -> None:
    """Neither its keys nor its workers: its tokens are of another issuer."""
    store = MemoryStore()
    other, *_ = worker(store, NEW, FRESH, issuer="https://other.example")
    ours, signing, _, events = worker(store, OLD, SECRET)
    await other.start()
    await ours.start()
    assert signing.awaited == frozenset()
    assert events == []
    workers = read_announced(await store.notes().read(KEYS_NOTE))
    assert [w.issuer for w in of_file(workers, {"old"})] == ["https://shop.example"]
    assert of_file(workers, {"unknown"}) == []
    await other.close()
    await ours.close()


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", '{"issuer": 1, "kids": []}', json.dumps({"kids": ["x"] * 99}), "[" * 9999],
)
async def test_a_note_that_no_worker_wrote_is_no_key(text: str) -> None:
    """It is a worker without keys: it holds a rotation up, and makes nothing valid or missing."""
    store = MemoryStore()
    await store.notes().put(KEYS_NOTE, "strange", text, 60)
    ours, signing, _, _ = worker(store, OLD, SECRET)
    await ours.start()
    assert signing.awaited == frozenset()
    found = {w.worker: w.kids for w in read_announced(await store.notes().read(KEYS_NOTE))}
    assert found.pop("strange") == frozenset()
    assert [*found.values()] == [frozenset({"old", "secret"})]
    await ours.close()


async def test_a_store_that_is_down_is_told_once_and_stops_nothing() -> None:
    """The worker goes on with what it knows."""
    store = MemoryStore()
    ours, _, _, events = worker(store, OLD, SECRET)
    await ours.start()

    class Down:
        async def put(self, *_: Any) -> None:
            raise Unavailable("down")

    ours._notes = Down()  # type: ignore[assignment]
    await ours.announce()
    await ours.announce()
    assert events == [KeysNotAnnounced(detail="down")]
    with pytest.raises(ConfigurationError, match="beat_seconds"):
        worker(store, OLD, SECRET, beat_seconds=0)


def test_a_secret_that_waits_makes_no_token(clock: FakeClock) -> None:
    """All check, and the newest that may sign at the time makes."""
    keys = KeySet(publish([SECRET], FRESH, clock.now))
    tokens = RefreshTokens(keys, issuer="i", clock=clock)
    session = new_session_id("bob")
    by_old = tokens.make(session, 1, 2e9)
    assert by_old == RefreshTokens(SECRET, issuer="i").make(session, 1, 2e9)
    assert tokens.check(RefreshTokens(FRESH, issuer="i").make(session, 2, 2e9)).counter == 2
    keys.replace([SECRET, FRESH])
    assert tokens.make(session, 1, 2e9) == RefreshTokens(FRESH, issuer="i").make(session, 1, 2e9)
    assert tokens.check(by_old).counter == 1
