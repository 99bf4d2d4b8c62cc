"""The scan statistic: the count of the fullest of many windows by chance alone."""

from __future__ import annotations

import math

__all__ = ["noise95", "scan_mean", "scan_quantile"]


def scan_quantile(share: float, rate: float, span: float, window: float) -> float:
    """Return the count that the fullest `window` of `span` seconds exceeds with ``1 - share``.

    Events are a Poisson process of `rate` per second. Alm's approximation of the scan
    statistic (Alm, Adv. Appl. Prob. 15, 1983; Naus, JASA 77, 1982), interpolated between whole
    counts; it is accurate to a few per cent where windows hold more than a few events.
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
    return max(0.0, low + (share - before) / (reached - before))


def _scan_below(count: int, rate: float, span: float, window: float) -> float:
    """Return the chance that no window of `span` holds more than `count`."""
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
    """Return the chance of at most `count` events if `mean` are expected."""
    if mean > 1e4:
        return 0.5 * math.erfc((mean - count - 0.5) / math.sqrt(2 * mean))
    first = max(0, int(mean - 12 * math.sqrt(mean) - 20))
    terms = (
        math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(first, count + 1)
    )
    return min(1.0, math.fsum(terms))


def scan_mean(rate: float, span: float, window: float) -> float:
    """Return the expected count of the fullest `window` in `span` seconds, at `rate` per second.

    The mean of nine quantiles of `scan_quantile`.
    """
    if rate <= 0:
        return 0.0
    shares = [(n + 0.5) / 9 for n in range(9)]
    return sum(scan_quantile(share, rate, span, window) for share in shares) / len(shares)


def noise95(rate: float, span: float, window: float) -> float:
    """Return the storm factor that 95 of 100 evenly spread populations stay below.

    A storm factor below it is at the level of chance. `rate` is per second, `span` and `window`
    are in seconds.
    """
    return scan_quantile(0.95, rate, span, window) / (rate * window) if rate > 0 else math.inf
