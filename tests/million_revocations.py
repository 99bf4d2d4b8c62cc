"""Workers that start while very many revocations are alive: ``make million-revocations``.

For each store it prints, for a new worker and for one that lost its connection: seconds until it is
trusted, the longest time in which its event loop did not run, its memory, and whether it knew then
all revocations that were acknowledged before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final

import msgspec
import psutil

from linqi import Key, Revocation, Revocations, Signer, Verifier
from linqi.errors import TokenRevoked
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.store import SessionStore
from linqi.stores._table_rows import revocation_row
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.store_url import open_store
from linqi.stores.valkey import ValkeyStore
from linqi_report import servers
from linqi_storm.apps.resource_use import CoreWait

STORES: Final = ("valkey", "postgres", "sqlite")
KINDS: Final = ("session", "subject", "token")
_CLAIMS: Final = {"session": "sid", "subject": "sub", "token": "jti"}
_KEY: Final = Key.generate("HS256")
_LIFETIME: Final = 900.0
_UNTIL: Final = 1200.0
_PROBE_SECONDS: Final = 0.002


@contextlib.contextmanager
def server_of(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a new store."""
    if kind == "sqlite":
        yield f"sqlite:{folder / 'sessions.db'}"
    elif kind == "valkey":
        with servers.valkey() as url:
            yield url
    else:
        with servers.postgres() as dsn:
            asyncio.run(PostgresStore(dsn).initialize())
            yield dsn


async def fill(store: SessionStore, count: int, kind: Any) -> str:
    """Revoke `count` names of one kind; return the last, which `publish` acknowledged."""
    await store.raise_lifetime(_LIFETIME)
    now = time.time()
    for begin in range(0, count - 1, 10_000):
        numbers = range(begin, min(begin + 10_000, count - 1))
        await _write(store, [_revocation(kind, token_urlsafe(22), now) for _ in numbers])
    name = new_session_id("last")
    await store.publish([_revocation(kind, name, now)])
    return name


def _revocation(kind: Any, name: str, now: float) -> Revocation:
    return Revocation(kind=kind, value=name, at=now, until=now + _UNTIL)


async def _write(store: SessionStore, revocations: Sequence[Revocation]) -> None:
    """Write what `publish` writes, faster."""
    if isinstance(store, PostgresStore):
        rows = [revocation_row(revocation) for revocation in revocations]
        async with store._connections._pool.acquire() as connection:
            await connection.copy_records_to_table("linqi_revocations", records=rows)
    elif isinstance(store, SQLiteStore):
        await store.publish(revocations)
    elif isinstance(store, ValkeyStore):
        script = (
            "for _, text in ipairs(ARGV) do"
            " redis.call('XADD', KEYS[1], '*', 'revocation', text) end"
        )
        texts = [msgspec.json.encode(revocation) for revocation in revocations]
        for begin in range(0, len(texts), 2_000):
            page = texts[begin : begin + 2_000]
            await store._client.eval(script, 1, "linqi:revocations", *page)


class LoopWatch:
    """The longest time in which the event loop did not run, without waits for a core."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._wait = CoreWait()
        self._task = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        waited = self._wait.seconds()
        while True:
            due = time.perf_counter() + _PROBE_SECONDS
            await asyncio.sleep(_PROBE_SECONDS)
            lag = time.perf_counter() - due
            before, waited = waited, self._wait.seconds()
            self.longest = max(self.longest, lag - (waited - before))

    def taken(self) -> float:
        """Return the longest time since the last call, in milliseconds."""
        longest, self.longest = self.longest, 0.0
        return 1000 * longest

    def close(self) -> None:
        """Stop it."""
        self._task.cancel()
        self._wait.close()


async def work(url: str, kind: str, count: int, name: str) -> None:
    """Run one worker, and print what was measured as JSON."""
    store = open_store(url.replace("postgresql:", "postgres:", 1))
    await store.start()
    gc.collect()
    before = psutil.Process().memory_info().rss
    known = Revocations(store)
    watch = LoopWatch()
    await asyncio.sleep(0.2)
    watch.taken()
    print(json.dumps(await _start(known, watch, kind, count, name)), flush=True)
    memory = {"rss_mb": (psutil.Process().memory_info().rss - before) / 1e6}
    print(json.dumps(memory), flush=True)
    print(json.dumps(await _reconnect(known, store, watch, kind)), flush=True)
    # Neither a sweep nor the garbage collector may stop the loop.
    await asyncio.sleep(min(3.0, count / 100_000))
    gc.collect()
    print(json.dumps({"stall_ms": watch.taken()}), flush=True)
    watch.close()
    await known.close()
    await store.close()


async def _start(
    known: Revocations, watch: LoopWatch, kind: str, count: int, name: str
) -> dict[str, Any]:
    full = gc.get_stats()[2]["collections"]
    starting = asyncio.create_task(known.start())
    took = await _until_trusted(known)
    took["full_collections"] = gc.get_stats()[2]["collections"] - full
    is_known = is_refused(known, kind, name) and count_of(known, kind) == count
    await starting
    return {**took, "stall_ms": watch.taken(), "is_known": is_known}


async def _reconnect(
    known: Revocations, store: SessionStore, watch: LoopWatch, kind: str
) -> dict[str, Any]:
    await known.close()
    known._trusted_until = -1.0  # so that the next trust is seen
    name = new_session_id("while away")
    await store.publish([_revocation(kind, name, time.time())])
    watch.taken()
    starting = asyncio.create_task(known.start())
    took = await _until_trusted(known)
    is_known = is_refused(known, kind, name)
    await starting
    return {**took, "stall_ms": watch.taken(), "is_known": is_known}


async def _until_trusted(known: Revocations) -> dict[str, float]:
    began, used = time.perf_counter(), time.process_time()
    async with asyncio.timeout(120):
        while not known.state().is_trusted:
            await asyncio.sleep(0.001)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - used,
    }


def count_of(known: Revocations, kind: str) -> int:
    """Return how many revocations of one kind are known."""
    return int(getattr(known.state(), f"{kind}s"))


def is_refused(known: Revocations, kind: str, name: str) -> bool:
    """Return whether a verifier refuses a token that was revoked by `name`."""
    signer = Signer(_KEY, issuer="https://own.example", audience="api")
    now = int(time.time())
    claims = {"sub": "alice", "sid": "s1", "jti": "j1", "iat": now - 60, "exp": now + 600}
    token = signer.sign(claims | {_CLAIMS[kind]: name})
    verifier = Verifier.trusting(signer, is_revoked=known.is_revoked)
    try:
        verifier.verify(token)
    except TokenRevoked:
        return True
    return False


def measure(store: str, kind: str, count: int) -> dict[str, Any]:
    """Return what a worker on `store` did that found `count` revocations."""
    with tempfile.TemporaryDirectory() as folder, server_of(store, Path(folder)) as url:
        name = asyncio.run(_filled(url, count, kind))
        command = [sys.executable, __file__, "work", url, kind, str(count), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        start, memory, again, later = map(json.loads, done.stdout.splitlines())
    return {"start": start, "again": again, "later": later, **memory}


async def _filled(url: str, count: int, kind: str) -> str:
    store = open_store(url.replace("postgresql:", "postgres:", 1))
    await store.start()
    name = await fill(store, count, kind)
    await store.close()
    return name


def main(stores: Sequence[str], kinds: Sequence[str], count: int) -> None:
    """Print one line for each store and kind."""
    print(f"{count:,} revocations; seconds until trusted (of its CPU), longest stall, memory")
    for store in stores:
        for kind in kinds:
            found = measure(store, kind, count)
            is_known = all(found[part]["is_known"] for part in ("start", "again"))
            print(
                f"{store:9} {kind:8} start {_took(found['start'])} reconnect"
                f" {_took(found['again'])} later {found['later']['stall_ms']:.1f} ms"
                f" {found['rss_mb']:.1f} MB {'all known' if is_known else 'NOT ALL KNOWN'}",
                flush=True,
            )


def _took(part: dict[str, Any]) -> str:
    return f"{part['seconds']:.1f} s ({part['cpu_seconds']:.1f}) {part['stall_ms']:.1f} ms"


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        url, kind, count, name = sys.argv[2:]
        asyncio.run(work(url, kind, int(count), name))
    else:
        chosen = sys.argv[1:]
        main(
            [name for name in chosen if name in STORES] or STORES,
            [name for name in chosen if name in KINDS] or ["session"],
            next((int(name) for name in chosen if name.isdigit()), 1_000_000),
        )
