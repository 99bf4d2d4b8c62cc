"""Millions of requests with changing tokens, in which the process must not grow.

``linqi bench --soak 10000000`` prints the resident memory during the run.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from linqi import JWTMiddleware, RenewalSettings, SlidingRenewal, VerifiedCache, Verifier
from linqi.errors import TokenError
from linqi_bench.middleware import bare_app, request_of, send_nowhere, take_nothing
from linqi_bench.tokens import Case
from linqi_bench.verification import garbage_like
from linqi_report.process_memory import resident_bytes

__all__ = ["MemoryReading", "soak"]

_ROUND: Final = 20_000
"""Requests between two looks at the clock of the soak."""
_SESSIONS: Final = 2_000
_USES: Final = 9
_ENTRIES: Final = 1_000
_READINGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """The memory of the process after a number of requests."""

    requests: int
    resident_bytes: int
    objects: int
    """Objects that the garbage collector tracks."""


def soak(
    requests: int,
    tell: Callable[[MemoryReading], object] = lambda reading: None,
    *,
    readings: int = _READINGS,
) -> list[MemoryReading]:
    """Serve `requests` in this process, and return the readings, the first after a tenth.

    Each round signs 2,000 new sessions (HS256), of which the cache holds half: hits, misses,
    evictions, successors near expiry, expiries and one refused token for each session. Time is
    moved, so that every token of a round is expired in the next one.
    """
    case = Case.of("HS256")
    now = [time.time()]
    settings = RenewalSettings()
    renewal = SlidingRenewal(case.signer, settings, memo_entries=_ENTRIES, clock=lambda: now[0])
    cache = VerifiedCache(max_entries=_ENTRIES, monotonic=lambda: now[0])
    verifier = Verifier(case.verifier(None).issuers, cache=cache, clock=lambda: now[0])
    app = JWTMiddleware(bare_app, verifier, renewal=renewal, clock=lambda: now[0], hooks=())
    found: list[MemoryReading] = []
    every = max(_ROUND, requests // readings)
    with asyncio.Runner() as runner:
        done = 0
        while done < requests:
            runner.run(_round(app, renewal, verifier, now, settings.lifetime))
            done += _ROUND
            if done % every < _ROUND and done >= requests // 10:
                gc.collect()
                reading = MemoryReading(
                    requests=done, resident_bytes=resident_bytes(), objects=len(gc.get_objects())
                )
                found.append(reading)
                tell(reading)
    return found


async def _round(
    app: JWTMiddleware,
    renewal: SlidingRenewal,
    verifier: Verifier,
    now: list[float],
    lifetime: float,
) -> None:
    for number in range(_SESSIONS):
        issued = renewal.start(f"user-{number}", scopes=["read", "write"])
        token = issued.token.encode()
        scope = request_of(token)
        for use in range(_USES):
            if use == _USES - 1:  # the last comes near expiry and gets a successor
                at, now[0] = now[0], issued.expires_at - 1
                await app(scope, take_nothing, send_nowhere)
                now[0] = at
            else:
                await app(scope, take_nothing, send_nowhere)
        if number % 100 == 0:
            _refused(verifier, garbage_like(token))
        await app(request_of(token[:-2]), take_nothing, send_nowhere)
    now[0] += lifetime + 1


def _refused(verifier: Verifier, tokens: list[bytes]) -> None:
    for token in tokens:
        try:
            verifier.verify(token)
        except TokenError:
            continue
        raise AssertionError("garbage was accepted")
