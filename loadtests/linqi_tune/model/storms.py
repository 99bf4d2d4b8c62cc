"""How many renewals come at once, under each policy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi_tune.model.gaps import Gaps
from linqi_tune.model.intervals import Interval

__all__ = [
    "Crowd",
    "duplicate_signatures",
    "noise95",
    "plain_peak",
    "scan_mean",
    "scan_quantile",
    "steady_rate",
    "storm_chance",
    "storm_factor",
]

_STEPS: Final = 600
_NEAR: Final = 0.97
"""Where the expected rate is within this share of its highest, chance decides where the peak is."""


def steady_rate(sessions: float, lifetime: float, buffer: float) -> float:
    """Give renewals per second of `sessions` active ones: ``N / (lifetime - buffer)``.

    No policy can have less: each session must renew once per ``lifetime - buffer``.
    """
    return sessions / (lifetime - buffer)


def plain_peak(sessions: float, gaps: Gaps, window: float) -> float:
    """Give renewals per second over `window` seconds when all tokens fall due at once.

    ``N * E[min(g, w)] / E[g] / w``; for a Poisson process of rate r it is ``N (1-exp(-r w)) / w``.
    """
    return sessions * gaps.residual_below(window) / window


def duplicate_signatures(parallel: float, workers: float) -> float:
    """Give how many workers see at least one of `parallel` requests: ``W (1 - (1 - 1/W)**C)``.

    That many signatures a renewal costs where each worker has its own memo and a request meets any
    of them with the same chance; none of them has a memo: C; a shared store: 1.
    """
    return workers * -math.expm1(parallel * math.log1p(-1 / workers)) if workers > 1 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Sessions that signed in together, and the law by which they come back.

    `login_spread`: they signed in within that time, in seconds.
    """

    sessions: int
    gaps: Gaps
    login_spread: float = 0.0


def storm_factor(
    crowd: Crowd, lifetime: float, buffer: float, policy: str, window: float, width: float = 0.0
) -> float:
    """Give the highest renewal rate over `window` seconds in the first cycle, over the steady one.

    `policy` is ``grid``, ``plain`` or ``jitter`` with its `width` as a share of the period
    ``A = lifetime - buffer``. Due instants are spread over A by the grid, over ``width A`` by
    jitter, and over the login spread by nature; each renewal follows after a residual gap. The
    expected count of the fullest window is the difference of that sum's distribution; where the
    rate is level for longer than a window, chance makes one of many windows fuller still
    (`scan_mean`).
    """
    rate, span = _fullest(crowd, lifetime, buffer, policy, window, width)
    most = scan_mean(rate, span, window)
    return most / window / steady_rate(crowd.sessions, lifetime, buffer)


def storm_chance(
    crowd: Crowd, lifetime: float, buffer: float, policy: str, window: float, width: float = 0.0
) -> Interval:
    """Give `storm_factor` with the range in which 95 of 100 storms lie by chance alone."""
    rate, span = _fullest(crowd, lifetime, buffer, policy, window, width)
    steady = steady_rate(crowd.sessions, lifetime, buffer) * window
    low, high = (scan_quantile(share, rate, span, window) for share in (0.025, 0.975))
    value = scan_mean(rate, span, window)
    return Interval(
        value=value / steady, low=min(low, value) / steady, high=max(high, value) / steady
    )


def _fullest(
    crowd: Crowd, lifetime: float, buffer: float, policy: str, window: float, width: float
) -> tuple[float, float]:
    """Give the highest expected rate over `window`, and for how many seconds it is level."""
    period = lifetime - buffer
    step = lifetime / _STEPS
    shares = _renewals(crowd, period, policy, width, step)
    level = [(_between(shares, n, n + window / step), n * step) for n in range(_STEPS + 1)]
    expected = crowd.sessions * max(share for share, _ in level)
    near = [at for share, at in level if share * crowd.sessions >= _NEAR * expected]
    if policy == "grid":  # level from the first second on, less the time that people take to come
        near = [0.0, lifetime - window]
    return expected / window, max(near) - min(near) + window


def _renewals(crowd: Crowd, period: float, policy: str, width: float, step: float) -> list[float]:
    """Give, at each step up to a lifetime, the renewals of one session to be expected till then."""
    spread = 0.0
    if policy == "grid":
        spread = period
    elif policy == "jitter":
        spread = width * period
    back = [crowd.gaps.residual_below(step * n) for n in range(_STEPS + 1)]
    # The time from one token to its renewal: the latest due instant, less a part, and a gap more.
    cycle = _shifted(_averaged(back, spread / step), (period - spread) / step)
    first = _averaged(cycle, crowd.login_spread / step)
    return _repeated(first, cycle) if policy == "jitter" else first


def _averaged(shares: Sequence[float], width: float) -> list[float]:
    """Give the distribution of a sum with a uniform part, `width` steps wide."""
    if width <= 0:
        return list(shares)
    sums = [0.0]
    for left, right in itertools.pairwise(shares):
        sums.append(sums[-1] + (left + right) / 2)

    def integral(at: float) -> float:
        if at <= 0:
            return 0.0
        whole = min(int(at), len(shares) - 2)
        part = at - whole
        return sums[whole] + part * (shares[whole] + (shares[whole + 1] - shares[whole]) * part / 2)

    return [(integral(n) - integral(n - width)) / width for n in range(len(shares))]


def _shifted(shares: Sequence[float], by: float) -> list[float]:
    """Give the distribution `by` steps later."""
    return [_at(shares, n - by) for n in range(len(shares))]


def _repeated(first: Sequence[float], cycle: Sequence[float]) -> list[float]:
    """Give the expected renewals where each begins another cycle: the renewal equation."""
    masses = [(n, b - a) for n, (a, b) in enumerate(itertools.pairwise(cycle), 1) if b > a]
    found: list[float] = []
    for n, share in enumerate(first):
        found.append(share + sum(mass * found[n - u] for u, mass in masses if u <= n))
    return found


def _at(shares: Sequence[float], place: float) -> float:
    """Give the distribution between two steps, and 0 before the first."""
    if place < 0:
        return 0.0
    if place >= len(shares) - 1:
        return shares[-1]
    whole = int(place)
    return shares[whole] + (shares[whole + 1] - shares[whole]) * (place - whole)


def _between(shares: Sequence[float], start: float, end: float) -> float:
    """Give the share of the steps from `start` to `end`; what lies past the last is not seen."""
    return _at(shares, end) - _at(shares, start)


def scan_quantile(share: float, rate: float, span: float, window: float) -> float:
    """Give the count that the fullest `window` of `span` seconds exceeds with ``1 - share``.

    Events come by a Poisson process of `rate` per second. Alm's approximation of the scan
    statistic (Alm, Adv. Appl. Prob. 15, 1983; Naus, JASA 77, 1982), interpolated between whole
    counts; it is good to a few per cent where windows hold more than a few events.
    """
    mean = rate * window
    low, high = -1, max(4, int(mean + 4 * math.sqrt(mean)) + 4)
    while _scan_below(high, rate, span, window) < share:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _scan_below(middle, rate, span, window) < share:
            low = middle
        else:
            high = middle
    reached = _scan_below(high, rate, span, window)
    before = _scan_below(low, rate, span, window) if low >= 0 else 0.0
    return low + (share - before) / (reached - before)


def _scan_below(count: int, rate: float, span: float, window: float) -> float:
    """Give the chance that no window of `span` holds more than `count`."""
    mean = rate * window
    if mean <= 0:
        return 1.0
    below = _poisson_below(count, mean)
    exactly = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    # Alm's factor is for counts well above the mean; nearer, a level that chance keeps crossing.
    factor = max(1 - mean / (count + 1), 0.5 / math.sqrt(mean + 1))
    clumps = factor * rate * max(0.0, span - window) * exactly
    return below * math.exp(-clumps)


def _poisson_below(count: int, mean: float) -> float:
    """Give the chance of at most `count` where `mean` are expected."""
    if mean > 1e4:
        return 0.5 * math.erfc((mean - count - 0.5) / math.sqrt(2 * mean))
    first = max(0, int(mean - 12 * math.sqrt(mean) - 20))
    terms = (
        math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(first, count + 1)
    )
    return min(1.0, math.fsum(terms))


def scan_mean(rate: float, span: float, window: float) -> float:
    """Give the expected count of the fullest `window` in `span` seconds, at `rate` per second.

    The mean of nine quantiles of `scan_quantile`.
    """
    if rate <= 0:
        return 0.0
    shares = [(n + 0.5) / 9 for n in range(9)]
    return sum(scan_quantile(share, rate, span, window) for share in shares) / len(shares)


def noise95(rate: float, span: float, window: float) -> float:
    """Give the factor that 95 of 100 perfectly spread populations stay below.

    A storm factor under it is none: chance alone makes the fullest window so full.
    """
    return scan_quantile(0.95, rate, span, window) / (rate * window) if rate > 0 else math.inf
