"""The time that the middleware takes for a request before it calls the application."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from linqi import Verified

__all__ = ["Spread", "VerificationTimer", "spread_of"]

_STARTED = "linqi_storm.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and 99th percentile of `count` durations, in seconds."""

    count: int
    p50: float
    p99: float


def spread_of(durations: Iterable[float]) -> Spread | None:
    """Return the percentiles of `durations` by nearest rank; None if there are none."""
    ranked = sorted(durations)
    if not ranked:
        return None

    def at(share: float) -> float:
        return ranked[math.ceil(share * len(ranked)) - 1]

    return Spread(count=len(ranked), p50=at(0.5), p99=at(0.99))


class VerificationTimer:
    """Measures verified requests between `outside` and `inside` of a middleware.

    The time includes reading the token, verification and the renewal decision, but no signature.
    The last 10,000 requests are kept. Refused requests are not measured.
    """

    def __init__(self, counter: Callable[[], float] = time.perf_counter) -> None:
        self._counter = counter
        self._durations: deque[float] = deque(maxlen=10_000)

    def outside(self, app: ASGIApp) -> ASGIApp:
        """Return `app`, the middleware, wrapped so that the measurement starts at its call."""

        async def start(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, _STARTED: self._counter()}, receive, send)

        return start

    def inside(self, app: ASGIApp) -> ASGIApp:
        """Return `app`, the application in the middleware, wrapped so that the measurement ends."""

        async def stop(scope: Scope, receive: Receive, send: Send) -> None:
            now = self._counter()
            if _STARTED in scope and isinstance(scope.get("linqi"), Verified):
                self._durations.append(now - scope[_STARTED])
            await app(scope, receive, send)

        return stop

    def spread(self) -> Spread | None:
        """Return the percentiles of the requests measured so far; None without any."""
        return spread_of(self._durations)
