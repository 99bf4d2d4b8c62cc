"""How long requests wait for a worker, and what signing adds while tokens expire."""

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
feeds itself. A judgement, drawn from simulations."""
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
    """Give the service time of kinds of requests, each its share and its seconds."""
    weight = sum(share for share, _ in parts)
    return ServiceTimes(
        mean=sum(share * seconds for share, seconds in parts) / weight,
        square=sum(share * seconds**2 for share, seconds in parts) / weight,
    )


def queued_wait(rate: float, service: ServiceTimes, workers: int, shared: bool = False) -> float:
    """Give the mean wait in seconds before a request is served, at `rate` per second in all.

    Workers with a queue each, as processes have: Pollaczek and Khinchine's
    ``rate/W E[S^2] / (2 (1 - rho))``, exact for Poisson arrivals at each. With one queue that is
    `shared`: Allen and Cunneen's ``C(W, a) E[S] (1 + cv^2) / (2 W (1 - rho))``, where C is Erlang's
    chance of waiting. Infinity at a utilisation of 1 and above.
    """
    load = rate * service.mean / workers
    if load >= 1:
        return math.inf
    if not shared or workers == 1:
        return rate / workers * service.square / (2 * (1 - load))
    chance = _erlang_c(workers, rate * service.mean)
    return chance * service.mean * (1 + service.variation) / (2 * workers * (1 - load))


def _erlang_c(workers: int, offered: float) -> float:
    """Give the chance that all `workers` are busy, by the recursion of Erlang's B."""
    blocked = 1.0
    for n in range(1, workers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    load = offered / workers
    return blocked / (1 - load * (1 - blocked))


def wait_quantile(share: float, rate: float, service: ServiceTimes, workers: int) -> float:
    """Give the wait in seconds that `share` of requests do not exceed, a queue for each worker.

    The wait is 0 with the chance ``1 - rho``, else about exponential with the mean of those who
    wait (exact for an exponential service time, and in heavy traffic: Kingman, 1962).
    """
    load = rate * service.mean / workers
    if load >= 1:
        return math.inf
    if load <= 0 or load <= 1 - share:
        return 0.0
    return queued_wait(rate, service, workers) / load * math.log(load / (1 - share))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningStorm:
    """What an expiry window of tokens that fall due together does to the workers."""

    steady_load: float
    """The utilisation of a worker outside the window."""
    open_load: float
    """The same when the window opens and every request asks for a signature."""
    backlog: float
    """Seconds of work that pile up; 0 while `open_load` is at most 1."""

    def is_safe(self, timeout: float) -> bool:
        """Tell whether the backlog stays below a third of the clients' `timeout` in seconds."""
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
    """Give the load when all `sessions` fall due at once.

    `page_rate`: pages per second of a session, each of `parallel` requests; `request_seconds`: a
    request without its signature; `signatures_per_page`: how many signatures a page of a due
    session costs, by default one per request, as without any memo. With ``x = (open - steady) /
    (1 - steady)`` the backlog is ``(1 - steady) / rate (x - 1 - ln x)`` seconds: sessions leave the
    window one by one as they are answered, so the load falls exponentially.
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
    """Give the fewest workers that are busy for at most `cpu_share` of the time."""
    needed = math.ceil(rate * service.mean / cpu_share - 1e-9)
    return max(1, min(_MOST_WORKERS, needed))
