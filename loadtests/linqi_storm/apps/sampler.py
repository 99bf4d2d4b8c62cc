"""Measurements of a server worker, written to a file once a second."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import psutil
from cachetools import TLRUCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linqi import CacheInfo, VerifiedCache
from linqi.events import (
    Event,
    RefreshTokenReused,
    RenewalDeferred,
    RenewalFailed,
    TokenRenewed,
)
from linqi_storm.apps.counted_store import CountedStore
from linqi_storm.apps.resource_use import CoreWait, open_files, waited_by_all_threads

__all__ = ["Sampler", "ServerSample", "read_samples"]

_PROBE_SECONDS: Final = 0.02
_PAST_THE_SECOND: Final = 0.005
_LEEWAY_SECONDS: Final = 10.0
"""How long after its expiry a renewal of a token is still remembered."""
_REMEMBERED: Final = 200_000
"""Most renewals remembered; expired ones are removed, so that the memory measured is that of the
application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSample:
    """One second of one worker; counts are those of this second."""

    at: float
    """The end of the second, in Unix seconds."""
    pid: int
    cpu: float
    """Share of one core."""
    loop_lag_ms: float
    """Longest delay of a timer of the event loop."""
    memory_mb: float
    """Resident memory, in megabytes of 1,000,000 bytes."""
    renewals: int
    """Responses with a successor."""
    signatures: int
    signed_twice: int
    """Renewals that this worker signed a second time."""
    failed: int
    """Renewals that failed."""
    budget_queue: int
    """Sessions whose renewal the budget deferred and that still wait for it."""
    families_killed: int
    cache_hits: int
    cache_misses: int
    store_calls: int
    blocked_ms: float = 0.0
    """Time in which the event loop was due to run and something made it wait, other than a core:
    a call that blocks. Its own work is not included."""
    starved_ms: float = 0.0
    """Time in which threads of this worker were ready to run and waited for a core."""
    stalled_ms: float = 0.0
    """Longest delay of the event loop that waiting for a core explains."""
    threads: int = 0
    files: int = 0
    """Open descriptors other than sockets."""
    cached_above_limit: int = 0
    """Entries, or else bytes, that the cache of verified tokens holds above its limit."""

    def joined(self, later: ServerSample) -> ServerSample:
        """Return one sample for this one and a `later` one of the same worker and second."""
        return replace(
            later,
            cpu=max(self.cpu, later.cpu),
            loop_lag_ms=max(self.loop_lag_ms, later.loop_lag_ms),
            stalled_ms=max(self.stalled_ms, later.stalled_ms),
            cached_above_limit=max(self.cached_above_limit, later.cached_above_limit),
            **{name: getattr(self, name) + getattr(later, name) for name in _COUNTS},
        )


_COUNTS: Final = (
    *("renewals", "signatures", "signed_twice", "failed", "families_killed"),
    *("cache_hits", "cache_misses", "store_calls", "blocked_ms", "starved_ms"),
)


class Sampler:
    """Counts events as a hook, and writes one `ServerSample` per second to the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: VerifiedCache | None = None
        self._store: CountedStore | None = None
        self._signed: TLRUCache[tuple[str, float], None] = TLRUCache(
            _REMEMBERED, ttu=lambda renewal, _, now: renewal[1] + _LEEWAY_SECONDS, timer=time.time
        )
        self._waiting: set[str] = set()
        self._counts: dict[str, int] = {}
        self._totals: tuple[int, int, int] = (0, 0, 0)
        self._longest_lag = self._longest_stall = self._blocked = self._starved = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def watch(
        self, *, cache: VerifiedCache | None = None, store: CountedStore | None = None
    ) -> None:
        """Include the counters of a cache or a store."""
        self._cache = self._cache if cache is None else cache
        self._store = self._store if store is None else store

    def __call__(self, event: Event) -> None:
        """Receive an event of the middleware or of the sessions."""
        if isinstance(event, TokenRenewed):
            self._count("renewals")
            self._waiting.discard(event.session)
            if event.signed:
                self._note_signature((event.session, event.old_expires_at))
        elif isinstance(event, RenewalDeferred):
            self._waiting.add(event.session)
        elif isinstance(event, RenewalFailed):
            self._count("failed")
        elif isinstance(event, RefreshTokenReused):
            self._count("families_killed")

    def count_signature(self) -> None:
        """Count a signature that no event reports."""
        self._count("signatures")

    def _note_signature(self, renewal: tuple[str, float]) -> None:
        self._count("signatures")
        if renewal in self._signed:
            self._count("signed_twice")
        self._signed[renewal] = None

    def _count(self, name: str) -> None:
        self._counts[name] = self._counts.get(name, 0) + 1

    def around(self, app: ASGIApp) -> ASGIApp:
        """Wrap the outermost application: sampling begins when its start-up is complete.

        It ends with the lifespan, or with the event loop if the application has no lifespan.
        """

        async def sampled(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "lifespan":
                await app(scope, receive, send)
                return

            async def send_watching(message: Message) -> None:
                if message["type"] == "lifespan.startup.complete":
                    self._begin()
                await send(message)

            try:
                await app(scope, receive, send_watching)
            except BaseException:
                self._begin()
                raise
            if self._tasks:
                self._end()
            else:
                self._begin()

        return sampled

    def _begin(self) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._probe()), asyncio.create_task(self._write())]

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _probe(self) -> None:
        wait = CoreWait()
        waited, used = wait.seconds(), time.thread_time()
        try:
            while True:
                due = time.perf_counter() + _PROBE_SECONDS
                await asyncio.sleep(_PROBE_SECONDS)
                lag = time.perf_counter() - due
                waited_before, used_before = waited, used
                waited, used = wait.seconds(), time.thread_time()
                self._note_lag(lag, waited - waited_before, used - used_before)
        finally:
            wait.close()

    def _note_lag(self, lag: float, waited: float, used: float) -> None:
        """Count one delay of the loop; `waited` for a core and `used` are of the same time."""
        self._longest_lag = max(self._longest_lag, lag)
        self._longest_stall = max(self._longest_stall, min(lag, waited))
        self._blocked += max(0.0, lag - waited - used)

    async def _write(self) -> None:
        with self._path.open("ab") as file:
            used, at = time.process_time(), time.perf_counter()
            try:
                while True:
                    # Just after the second: an early timer would end two samples in one second.
                    await asyncio.sleep(1 - time.time() % 1 + _PAST_THE_SECOND)
                    used_before, before = used, at
                    used, at = time.process_time(), time.perf_counter()
                    self._append(file, (used - used_before) / max(at - before, 1e-3))
            finally:
                with contextlib.suppress(ValueError):
                    self._append(file, 0.0)

    def _append(self, file: BinaryIO, cpu: float) -> None:
        counts, self._counts = self._counts, {}
        lag, self._longest_lag = self._longest_lag, 0.0
        stalled, self._longest_stall = self._longest_stall, 0.0
        blocked, self._blocked = self._blocked, 0.0
        starved_before, self._starved = self._starved, waited_by_all_threads()
        info = None if self._cache is None else self._cache.info()
        totals = (
            0 if info is None else info.hits,
            0 if info is None else info.misses,
            0 if self._store is None else self._store.calls,
        )
        hits, misses, calls = (now - old for now, old in zip(totals, self._totals, strict=True))
        self._totals = totals
        sample = ServerSample(
            at=time.time(),
            pid=os.getpid(),
            cpu=cpu,
            loop_lag_ms=lag * 1000,
            memory_mb=psutil.Process().memory_info().rss / 1e6,
            renewals=counts.get("renewals", 0),
            signatures=counts.get("signatures", 0),
            signed_twice=counts.get("signed_twice", 0),
            failed=counts.get("failed", 0),
            budget_queue=len(self._waiting),
            families_killed=counts.get("families_killed", 0),
            cache_hits=hits,
            cache_misses=misses,
            store_calls=calls,
            blocked_ms=blocked * 1000,
            starved_ms=max(0.0, self._starved - starved_before) * 1000,
            stalled_ms=stalled * 1000,
            threads=psutil.Process().num_threads(),
            files=open_files(),
            cached_above_limit=0 if info is None else _above_limit(info),
        )
        file.write(msgspec.json.encode(sample) + b"\n")
        file.flush()


def _above_limit(info: CacheInfo) -> int:
    return max(0, info.entries - info.max_entries, info.bytes - info.max_bytes)


def read_samples(paths: Sequence[Path]) -> list[ServerSample]:
    """Return the samples of all workers, sorted by time, without an incomplete last line."""
    decode = msgspec.json.Decoder(ServerSample).decode
    found = [
        decode(line)
        for path in paths
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    return sorted(found, key=lambda sample: sample.at)
