"""The session store: reachable, complete, writable, near, in time, and heard by other workers."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Final

from linqi._notes import KeepsNotes
from linqi.config.faults import Faults
from linqi.config.findings import Severity
from linqi.config.session_store import store_of
from linqi.errors import Unavailable
from linqi.live.probe import Environment, ProbeResult
from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh_token import new_session_id
from linqi.sessions.store import SessionStore, WarnsAtStart
from linqi.stores.memory import MemoryStore
from linqi.stores.schema_state import HasSchema
from linqi.stores.sqlite import SQLiteStore

__all__ = ["look_at_feed", "look_at_store"]

_ROUNDS: Final = 5
_SLOW_SECONDS: Final = 0.05
_CLOCK_SECONDS: Final = 1.0
"""Instants in tokens are whole seconds, so less does not matter."""
_LIFE_SECONDS: Final = 60.0
"""Of what the check writes."""


def _opened(environment: Environment) -> SessionStore | None:
    faults = Faults(environment.config.source)
    store = store_of(environment.config, faults, environment.variables, environment.clock)
    faults.raise_any()
    return store


async def look_at_store(environment: Environment, result: ProbeResult) -> None:
    """Start the store as a worker does, and make, refresh and end a session of no user."""
    store = _opened(environment)
    if store is None:
        result.saw("none is configured")
        return
    if isinstance(store, SQLiteStore) and not store.path.exists():
        _say_new(store, result)
        return
    if isinstance(store, HasSchema):
        state = await store.schema_state()
        result.saw(f"schema {state.version}")
        if state.steps:
            _say_steps(store, state.steps, result)
            return
    await store.start()
    try:
        for text in store.warnings if isinstance(store, WarnsAtStart) else ():
            result.found("warning", "store-warning", text, "change this setting of the server")
        await _use(environment, store, result)
        _compare_clocks(environment, store, result)
        await _measure(environment, store, result)
    finally:
        await store.close()


def _say_new(store: SQLiteStore, result: ProbeResult) -> None:
    folder = store.path.absolute().parent
    if folder.is_dir():
        result.saw(f"{store.path} does not exist; the first worker makes it")
        return
    result.found(
        "error",
        "store-folder",
        f"the folder {folder} of the store does not exist",
        "create it, owned by the account of the workers",
        table="store",
        key="url",
    )


def _say_steps(store: SessionStore, steps: Sequence[str], result: ProbeResult) -> None:
    """Report what the tables lack; a SQLite file is updated by the first worker, not by a check."""
    severity: Severity = "note" if isinstance(store, SQLiteStore) else "error"
    for step in steps:
        result.found(severity, "store-schema", f"the store lacks: {step}", "run linqi store init")


async def _use(environment: Environment, store: SessionStore, result: ProbeResult) -> None:
    """Do with a session what workers do, so that a missing right shows here."""
    now = store.now()
    subject = f"linqi-check-{token_hex(8)}"
    record = SessionRecord(
        session_id=new_session_id(subject),
        subject=subject,
        rotated_at=now,
        first_rotated_at=now,
        started_at=now,
        expires_at=now + _LIFE_SECONDS,
        ends_at=now + _LIFE_SECONDS,
    )
    await store.create(record, 1)
    outcome = await store.present(record.session_id, 0, environment.config.sessions.settings())
    is_ended = await store.revoke(record.session_id, store.now(), "check")
    if outcome.kind == "rotated" and is_ended:
        result.saw("a session was made, refreshed and ended")
        return
    result.found(
        "error",
        "store-forgets",
        f"a session that was just stored cannot be refreshed ({outcome.kind}) or ended",
        "let all workers use one primary, not a replica that lags behind",
    )


def _compare_clocks(environment: Environment, store: SessionStore, result: ProbeResult) -> None:
    ahead = environment.clock() - store.now()
    result.saw(f"its clock is {-ahead:+.3f} s from this one")
    if abs(ahead) > _CLOCK_SECONDS:
        result.found(
            "warning",
            "store-clock",
            f"this clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the store's",
            "synchronise both by NTP (timedatectl, chronyc tracking)",
        )


async def _measure(environment: Environment, store: SessionStore, result: ProbeResult) -> None:
    times = []
    for _ in range(_ROUNDS):
        began = environment.monotonic()
        await store.get("linqi-check")
        times.append(environment.monotonic() - began)
    middle = statistics.median(times)
    result.saw(f"a round trip takes {middle * 1000:.1f} ms (median of {_ROUNDS})")
    if middle > _SLOW_SECONDS:
        result.found(
            "note",
            "store-slow",
            f"a round trip to the store takes {middle * 1000:.0f} ms, which each refresh waits for",
            "run the workers nearer to it",
        )


async def look_at_feed(environment: Environment, result: ProbeResult) -> None:
    """Publish a revocation of no token as one worker, and wait for it as another."""
    writer, reader = _opened(environment), _opened(environment)
    if writer is None or reader is None or isinstance(writer, MemoryStore):
        result.saw("none: no other process shares a store")
        return
    if isinstance(writer, SQLiteStore) and not writer.path.exists():
        result.saw("the store does not exist yet")
        return
    async with contextlib.AsyncExitStack() as stack:
        for store in (writer, reader):
            await store.start()
            stack.push_async_callback(store.close)
        took = await _heard_after(environment, writer, reader)
        result.saw(f"a revocation reached another connection after {took * 1000:.1f} ms")
        if isinstance(writer, KeepsNotes):
            await _read_notes(writer, result)


class _Listener:
    """Waits for one revocation; a `RevocationReader`."""

    position: object = None

    def __init__(self, name: str) -> None:
        self._name = name
        self.is_ready, self.has_heard = asyncio.Event(), asyncio.Event()

    def begin_read(self) -> None:
        """Do nothing: only the arrival counts here."""

    def add(self, revocations: Sequence[Revocation]) -> None:
        """Look for the revocation."""
        if any(one.value == self._name for one in revocations):
            self.has_heard.set()

    def caught_up(self) -> None:
        """Note that the feed runs."""
        self.is_ready.set()


async def _heard_after(
    environment: Environment, writer: SessionStore, reader: SessionStore
) -> float:
    """Return how long a revocation of `writer` takes to `reader`; raise what ends the feed."""
    name = f"linqi-check-{token_hex(8)}"
    listener, now = _Listener(name), writer.now()
    following = asyncio.ensure_future(reader.follow(now, listener))
    try:
        await _unless_ended(following, listener.is_ready)
        began = environment.monotonic()
        ends_at = now + _LIFE_SECONDS
        await writer.publish([Revocation(kind="token", value=name, at=now, until=ends_at)])
        await _unless_ended(following, listener.has_heard)
        return environment.monotonic() - began
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _unless_ended(following: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Wait for `event`; raise if the feed ends before it."""
    waiting: asyncio.Future[Any] = asyncio.ensure_future(event.wait())
    await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        following.result()
        raise Unavailable("the store ended the feed of revocations")


async def _read_notes(writer: KeepsNotes, result: ProbeResult) -> None:
    notes, name = writer.notes(), token_hex(8)
    await notes.put("check", name, "linqi check --live", _LIFE_SECONDS)
    is_there = name in await notes.read("check")
    await notes.drop("check", name, "linqi check --live")
    if is_there:
        result.saw("a note was written, read and deleted")
        return
    result.found(
        "error",
        "feed-notes",
        "a note that was just written is not in the store",
        "let all workers use one primary, not a replica that lags behind",
    )
