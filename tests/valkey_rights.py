"""The rights of a Valkey user as docs/guides/stores.md has them, and all that needs them."""

import asyncio
import re
import secrets
from pathlib import Path

from linqi.sessions.attempts import AttemptLimit, Counter
from linqi.sessions.device_token import owner_of
from linqi.sessions.record import Revocation
from linqi.sessions.refresh import SessionSettings
from linqi.stores.valkey import ValkeyStore
from linqi.stores.valkey_attempts import ValkeyAttempts
from reading import reading
from records import record

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "stores.md"


def rights(line: str) -> list[str]:
    """Return the rules of the guide's ACL line of this name, one string each."""
    found = re.search(rf"<!-- acl: {line} -->\n```\n(.*?)\n```", GUIDE.read_text(), re.S)
    assert found, line
    text = found[1].replace("\\\n", " ")
    return text.split()


def commands_of(line: str) -> list[str]:
    """Return the commands that the guide's ACL line allows."""
    return [rule for rule in rights(line) if rule.startswith("+")]


async def use_everything(url: str, prefix: str, min_replicas: int) -> tuple[str, ...]:
    """Call each operation that a deployment calls; return the warnings of the start.

    Raises:
        Unavailable: A right is missing.

    """
    store = ValkeyStore(url, prefix=prefix, min_replicas=min_replicas)
    try:
        await store.start()
        await _sessions(store)
        await _feed(store)
        await _others(store)
    finally:
        await store.close()
    attempts = ValkeyAttempts(url, prefix=prefix, most_counters=1)
    try:
        for _ in range(3):
            name = secrets.token_hex(4)
            counters = [Counter(f"{name}-{n}", AttemptLimit(1, 60)) for n in range(2)]
            assert not await attempts.reserve(name, counters, store.now())
        assert await attempts.reserve("again", counters, store.now())
        await attempts.release("again", counters)
    finally:
        await attempts.close()
    return tuple(store.warnings)


async def _sessions(store: ValkeyStore) -> None:
    await store.raise_lifetime(900)
    subject, now = f"user-{secrets.token_hex(4)}", store.now()
    made = []
    for _ in range(3):
        row = record(subject, started_at=now, expires_at=now + 100, ends_at=now + 1000)
        await store.create(row, 2)
        made.append(row.session_id)
    for counter in (0, 1):
        assert (await store.present(made[2], counter, SessionSettings())).kind == "rotated"
    assert (await store.get(made[2])) is not None
    assert len(await store.live(subject, now)) == 2
    assert await store.revoke(made[1], now, "logout")
    assert (await store.present(made[1], 0, SessionSettings())).kind == "revoked"
    assert made[2] in await store.revoke_all(subject, now, "admin")
    await store.publish([_revocation(made[2], now)])


async def _feed(store: ValkeyStore) -> None:
    now = store.now()
    lasting = _revocation(secrets.token_hex(8), now, seconds=100_000)
    async with reading(store, now) as reader:
        await reader.until_caught_up()
        await store.publish([lasting])
        await reader.until_known({lasting})
    await store.purge(store.now(), 10)


async def _others(store: ValkeyStore) -> None:
    await store.end_devices(owner_of("alice"), store.now())
    assert await store.devices_ended_at(owner_of("alice")) > 0
    notes, kind = store.notes(), secrets.token_hex(4)
    await notes.put(kind, "a", "text", 0.001)
    assert await notes.claim(kind, "b", "text", 100)
    await asyncio.sleep(0.01)
    assert set(await notes.read(kind)) == {"b"}
    await notes.drop(kind, "b", "text")


def _revocation(name: str, now: float, seconds: float = 100) -> Revocation:
    return Revocation(kind="session", value=name, at=now, until=now + seconds)
