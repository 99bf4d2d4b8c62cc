"""The queue before the workers: waits, and the load of signing while tokens expire."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ServiceTimes",
    "SigningStorm",
    "mixed_service",
    "open_window",
    "queued_wait",
    "wait_quantile",
    "workers_needed",
]

_SAFE_SHARE: Final = 1 / 3
"""Of a client's timeout: the backlog formula reads up to 27 % low, and a backlog near the timeout
grows by itself. A judgement, from simulations."""
_MOST_WORKERS: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTimes:
    """The processor time of a request: its mean in seconds, and its squared mean."""

    mean: float
    square: float

    @property
    def variation(self) -> float:
        """The squared coefficient of variation: 0 for a constant, 1 for an exponential time."""
        return max(0.0, self.square / self.mean**2 - 1) if self.mean else 0.0


def mixed_service(parts: list[tuple[float, float]]) -> ServiceTimes:
    """Return the service times of several kinds of requests, each with its share and seconds."""
    weight = sum(share for share, _ in parts)
    return ServiceTimes(
        mean=sum(share * seconds for share, seconds in parts) / weight,
        square=sum(share * seconds**2 for share, seconds in parts) / weight,
    )


def queued_wait(rate: float, service: ServiceTimes, workers: int, shared: bool = False) -> float:
    """Return the mean wait in seconds of a request, at `rate` requests per second in all.

    For workers with a queue each, as processes have: Pollaczek and Khinchine's
    ``rate/W E[S^2] / (2 (1 - rho))``, exact for Poisson arrivals at each. With one queue that is
    `shared`: Allen and Cunneen's ``C(W, a) E[S] (1 + cv^2) / (2 W (1 - rho))``, where C is Erlang's
    chance of waiting. Infinity at a utilisation of at least 1.
    """
    load = rate * service.mean / workers
    if load >= 1:
        return math.inf
    if not shared or workers == 1:
        return rate / workers * service.square / (2 * (1 - load))
    chance = _erlang_c(workers, rate * service.mean)
    return chance * service.mean * (1 + service.variation) / (2 * workers * (1 - load))


def _erlang_c(workers: int, offered: float) -> float:
    """Return the chance that all `workers` are busy, by the recursion of Erlang's B."""
    blocked = 1.0
    for n in range(1, workers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    load = offered / workers
    return blocked / (1 - load * (1 - blocked))


def wait_quantile(share: float, rate: float, service: ServiceTimes, workers: int) -> float:
    """Return the wait in seconds that `share` of requests do not exceed, with a queue per worker.

    The wait is 0 with the chance ``1 - rho``, else about exponential with the mean of requests
    that wait (exact for an exponential service time, and in heavy traffic: Kingman, 1962).
    """
    load = rate * service.mean / workers
    if load >= 1:
        return math.inf
    if load <= 0 or load <= 1 - share:
        return 0.0
    return queued_wait(rate, service, workers) / load * math.log(load / (1 - share))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningStorm:
    """The load on the workers in an expiry window, when many tokens are due together.

    Attributes:
        steady_load: The utilisation of a worker outside the window.
        open_load: The utilisation when the window opens and every request needs a signature.
        backlog: Seconds of work that accumulate; 0 while `open_load` is at most 1.

    """

    steady_load: float
    open_load: float
    backlog: float

    def is_safe(self, timeout: float) -> bool:
        """Return whether the backlog stays below a third of the clients' `timeout` in seconds."""
        return self.steady_load < 1 and self.backlog < timeout * _SAFE_SHARE


def open_window(
    sessions: float,
    page_rate: float,
    parallel: float,
    request_seconds: float,
    sign_seconds: float,
    workers: int,
    signatures_per_page: float | None = None,
) -> SigningStorm:
    """Return the load when the tokens of all sessions fall due at once.

    With ``x = (open - steady) / (1 - steady)`` the backlog is ``(1 - steady) / rate (x - 1 - ln
    x)`` seconds: sessions leave the window one by one when they get a successor, so the load falls
    exponentially.

    Args:
        sessions: Active sessions.
        page_rate: Pages per second of a session.
        parallel: Requests per page.
        request_seconds: Processor time of a request without its signature.
        sign_seconds: Processor time of a signature.
        workers: Server processes.
        signatures_per_page: Signatures for a page of a session that is due; None for one per
            request, as without any memo.

    """
    each = parallel if signatures_per_page is None else signatures_per_page
    steady = sessions * page_rate * parallel * request_seconds / workers
    opened = steady + sessions * page_rate * each * sign_seconds / workers
    if steady >= 1:
        return SigningStorm(steady_load=steady, open_load=opened, backlog=math.inf)
    x = (opened - steady) / (1 - steady)
    backlog = (1 - steady) / page_rate * (x - 1 - math.log(x)) if x > 1 else 0.0
    return SigningStorm(steady_load=steady, open_load=opened, backlog=backlog)


def workers_needed(rate: float, service: ServiceTimes, cpu_share: float) -> int:
    """Return the fewest workers whose utilisation is at most `cpu_share`."""
    needed = math.ceil(rate * service.mean / cpu_share - 1e-9)
    return max(1, min(_MOST_WORKERS, needed))
