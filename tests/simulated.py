"""Simulations that know nothing of the tuner's formulas: they play events one after the other."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Draw = Callable[[random.Random], float]


def exponential(mean: float) -> Draw:
    """Return the gaps of a Poisson process."""
    return lambda rng: rng.expovariate(1 / mean)


def clicks_and_reads(rng: random.Random) -> float:
    """Draw a gap of a user who clicks, reads and leaves: mean 32 s, most gaps below 5 s."""
    kind = rng.random()
    if kind < 0.9:
        return rng.expovariate(1 / 5)
    if kind < 0.975:
        return rng.lognormvariate(4.8, 0.8)
    return rng.lognormvariate(6.0, 0.7)


@dataclass(slots=True)
class Played:
    """What a simulated population went through."""

    renewals: list[float]
    lags: list[float]
    by_session: list[list[float]]
    cycles: int
    lost: int
    gaps: list[list[float]]
    """By session."""
    open_gaps: list[float]
    """How long ago each session had last come when the end was reached."""


def play_sessions(
    *,
    sessions: int,
    lifetime: float,
    buffer: float,
    until: float,
    gap: Draw,
    seed: int,
    policy: str = "grid",
    width: float = 0.0,
    spread: float = 0.0,
    outage: tuple[float, float] = (0.0, 0.0),
) -> Played:
    """Let sessions come by their gaps; a renewal is the first visit while a token is near expiry.

    A visit after expiry loses the session, which signs in at once. On the grid its first token is
    due at the next grid point, and lives the whole lifetime. With jitter a successor is due a
    period, less the cut, after its predecessor was. During `outage` no visit is answered.
    """
    rng = random.Random(seed)
    period = lifetime - buffer
    played = Played([], [], [], 0, 0, [], [])
    for _ in range(sessions):
        phase = rng.random() * period

        def token(now: float, old_due: float | None, phase: float = phase) -> tuple[float, float]:
            """Return when a token made at `now` is due, and when it expires."""
            if policy == "grid":
                point = phase + period * ((now - phase) // period + 1)
                return point, now + lifetime if old_due is None else point + buffer
            cut = rng.random() * width * period if policy == "jitter" else 0.0
            starts = now if old_due is None or policy == "plain" else old_due
            return starts + period - cut, starts + lifetime - cut

        now = rng.random() * spread
        due, expires = token(now, None)
        gaps, lags = [], []
        while True:
            pause = gap(rng)
            now += pause
            if now >= until:
                played.open_gaps.append(until - now + pause)
                break
            gaps.append(pause)
            if outage[0] <= now < outage[1] or now < due:
                continue
            played.cycles += 1
            lags.append(now - due)
            if now >= expires:
                played.lost += 1
                due, expires = token(now, None)
            else:
                played.renewals.append(now)
                due, expires = token(now, due)
        played.gaps.append(gaps)
        played.by_session.append(lags)
        played.lags.extend(lags)
    played.renewals.sort()
    return played


def fullest_window(instants: Sequence[float], window: float) -> int:
    """Return the largest number of the sorted instants in any half-open window."""
    return max((bisect_left(instants, at + window) - n for n, at in enumerate(instants)), default=0)


def play_cache(
    *,
    rates: Sequence[float],
    parallel: Callable[[random.Random], int],
    workers: int,
    entries: int,
    lifetime: float,
    period: float,
    until: float,
    warm: float,
    seed: int,
    gap: Draw | None = None,
) -> float:
    """Return the hit ratio of LRU caches with an age limit, one per worker, after `warm` seconds.

    Session n comes `rates[n]` times as often as `gap` says; its token is replaced each `period`,
    from a random instant on, by the first worker that it meets then.
    """
    rng = random.Random(seed)
    draw = gap or exponential(1.0)
    caches: list[OrderedDict[tuple[int, int], float]] = [OrderedDict() for _ in range(workers)]
    phases = [rng.random() for _ in rates]
    tokens = [0] * len(rates)
    heap = [(draw(rng) / rate, n) for n, rate in enumerate(rates)]
    heapq.heapify(heap)
    hits = asked = 0

    def put(cache: OrderedDict[tuple[int, int], float], key: tuple[int, int], now: float) -> None:
        cache.pop(key, None)
        while len(cache) >= entries:
            cache.popitem(last=False)
        cache[key] = now

    while heap[0][0] < until:
        now, session = heap[0]
        heapq.heapreplace(heap, (now + draw(rng) / rates[session], session))
        page = [rng.randrange(workers) for _ in range(parallel(rng))]
        key = (session, tokens[session])
        for worker in page:
            cache = caches[worker]
            made = cache.get(key)
            is_hit = made is not None and now - made < lifetime
            if is_hit:
                cache.move_to_end(key)
            else:
                put(cache, key, now)
            if now >= warm:
                asked += 1
                hits += is_hit
        epoch = int(now / period + phases[session])
        if epoch > tokens[session]:
            tokens[session] = epoch
            put(caches[page[0]], (session, epoch), now)
    return hits / asked


def play_queue(
    *, rate: float, service: Draw, requests: int, seed: int, workers: int = 1
) -> list[float]:
    """Return the waits, in seconds, of Poisson arrivals at one queue before `workers`, sorted."""
    rng = random.Random(seed)
    free = [0.0] * workers
    now = 0.0
    waits = []
    for _ in range(requests):
        now += rng.expovariate(rate)
        begins = max(now, free[0])
        waits.append(begins - now)
        heapq.heapreplace(free, begins + service(rng))
    return sorted(waits)


def play_signing_storm(
    *, sessions: int, page_rate: float, request: float, sign: float, seed: int, until: float
) -> float:
    """Return the longest wait if all sessions are due at once and each request of one asks.

    One worker; a session leaves the window when its first signature is answered.
    """
    rng = random.Random(seed)
    answered = [float("inf")] * sessions
    arrivals = sorted(
        (at, session) for session in range(sessions) for at in _poisson(rng, page_rate, until)
    )
    free, longest = 0.0, 0.0
    for at, session in arrivals:
        begins = max(at, free)
        longest = max(longest, begins - at)
        free = begins + request + (sign if at < answered[session] else 0.0)
        answered[session] = min(answered[session], free)
    return longest


def _poisson(rng: random.Random, rate: float, until: float) -> list[float]:
    found, at = [], rng.expovariate(rate)
    while at < until:
        found.append(at)
        at += rng.expovariate(rate)
    return found
