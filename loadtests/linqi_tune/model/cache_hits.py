"""The hit ratio of the cache of verified tokens, and the entries that it needs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.roots import root_above

__all__ = [
    "CacheSize",
    "HitRatio",
    "TokenTraffic",
    "entries_needed",
    "hit_ratio",
    "uniform_popularity",
    "zipf_popularity",
]

_STEPS: Final = 160
_CLASSES: Final = 24


def uniform_popularity(sessions: int) -> list[tuple[float, float]]:
    """Return the `TokenTraffic.popularity` of sessions that are all used equally often."""
    return [(float(sessions), 1.0)]


def zipf_popularity(sessions: int, exponent: float = 1.0) -> list[tuple[float, float]]:
    """Return the popularity of sessions whose n-th has ``1 / n**exponent`` of the first's rate.

    Ranks are grouped into 24 classes of equal ratio, each with its mean rate.
    """
    edges = sorted({round(sessions ** (n / _CLASSES)) for n in range(_CLASSES + 1)} | {0, sessions})
    classes = []
    for first, last in itertools.pairwise(edges):
        weight = math.fsum(math.pow(rank, -exponent) for rank in range(first + 1, last + 1))
        classes.append((float(last - first), weight / (last - first)))
    mean = math.fsum(count * rate for count, rate in classes) / sessions
    return [(count, rate / mean) for count, rate in classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTraffic:
    """The tokens that the workers receive, and how often.

    Attributes:
        popularity: Classes of sessions: their number, and their page rate over the mean rate.
        gaps: The pauses between pages of a session with the mean rate, in seconds.
        parallel: Requests per page, with the share of pages.
        period: ``lifetime - buffer`` in seconds, after which a session has another token.
        caches_issued: Whether the worker that signs a token puts it into its cache.

    """

    popularity: Sequence[tuple[float, float]]
    gaps: GapDistribution
    parallel: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    workers: int = 1
    period: float = 600.0
    caches_issued: bool = True

    @property
    def per_page(self) -> float:
        """Mean requests per page."""
        weight = sum(share for _, share in self.parallel)
        return float(sum(size * share for size, share in self.parallel) / weight)

    @property
    def share_met(self) -> float:
        """The chance that a page reaches a given worker: the mean of ``1 - (1 - 1/W)**C``."""
        if self.workers == 1:
            return 1.0
        weight = sum(share for _, share in self.parallel)
        missed = sum(s * math.pow(1 - 1 / self.workers, size) for size, s in self.parallel)
        return 1 - missed / weight


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSize:
    """The limits of a worker's cache: its entries, and the seconds each is kept at most."""

    entries: float
    lifetime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRatio:
    """How well a cache works.

    Attributes:
        share: The share of requests that it answers.
        keep: Seconds after which an unused entry is evicted (Che's characteristic time).
        entries: Entries that a worker holds.

    """

    share: float
    keep: float
    entries: float


def hit_ratio(tokens: TokenTraffic, size: CacheSize) -> HitRatio:
    """Return the hit ratio of an LRU cache whose entries also expire.

    Che's approximation (Che, Tung, Wang, IEEE JSAC 20, 2002): an LRU cache keeps every entry for
    the same time after its last use, namely the time at which the expected entries fill the cache.
    A visit is a hit if its gap is below that time and its entry is younger than the lifetime. The
    expected hits after a miss solve a renewal equation over the distribution of the gaps, so that
    bursts of requests with long pauses between them are counted correctly.

    Each worker has its own cache, and receives a page with the chance `TokenTraffic.share_met`;
    further requests of the page at the same worker are hits. Replaced tokens stay until they are
    evicted, and a new token is a miss at every worker except the one that made it.
    """
    met = tokens.share_met
    visits = tokens.gaps.thinned(met)
    keep = _keep(tokens, visits, size.entries)
    misses = pages = 0.0
    for count, rate in tokens.popularity:
        if rate <= 0 or count <= 0:
            continue
        gaps = visits.scaled(1 / rate)
        hits = _hits_after_a_miss(gaps, keep, size.lifetime, tokens.period)
        per_second = count / gaps.mean
        missed = per_second / (1 + hits)
        if tokens.caches_issued:
            # Of each token's first misses, one at the worker that signed does not happen.
            missed -= min(missed, count / max(tokens.period, gaps.mean)) / tokens.workers
        misses += missed * tokens.workers
        pages += count * rate / tokens.gaps.mean
    share = max(0.0, 1 - misses / (pages * tokens.per_page)) if pages else 0.0
    return HitRatio(share=share, keep=keep, entries=min(size.entries, _held(tokens, visits, keep)))


def entries_needed(tokens: TokenTraffic, lifetime: float) -> float:
    """Return the entries with which a worker evicts none before it expires.

    These are the tokens used within the lifetime, and those replaced within it.
    """
    visits = tokens.gaps.thinned(tokens.share_met)
    return _held(tokens, visits, lifetime)


def _held(tokens: TokenTraffic, visits: GapDistribution, keep: float) -> float:
    """Return a worker's entries last used at most `keep` seconds ago, replaced ones included."""
    held = 0.0
    for count, rate in tokens.popularity:
        replaced = visits.residual_below(tokens.period * rate) * keep / tokens.period
        held += count * (visits.residual_below(keep * rate) + replaced)
    return held


def _keep(tokens: TokenTraffic, visits: GapDistribution, entries: float) -> float:
    """Return the characteristic time, at which the expected entries fill the cache."""
    return root_above(lambda keep: _held(tokens, visits, keep) < entries, most=1e9)


def _hits_after_a_miss(gaps: GapDistribution, keep: float, lifetime: float, period: float) -> float:
    """Return the expected visits, after a miss, that find its entry.

    ``m(x) = integral over u <= min(x, keep) of exp(-u / period) (1 + m(x - u)) dF(u)`` for an
    entry with `x` seconds of its lifetime left; the factor is the chance that the token was not
    replaced in that time. Solved on 160 steps.
    """
    span = min(lifetime, 50 * period)
    step = span / _STEPS
    masses = [0.0] * (_STEPS + 1)
    inside = gaps.total
    for gap, count in gaps.items():
        if gap <= min(span, keep):
            masses[round(gap / step)] += count / inside * math.exp(-gap / period)
    expected: list[float] = []
    for n in range(_STEPS + 1):
        later = sum(masses[u] * (1 + expected[n - u]) for u in range(1, n + 1))
        expected.append((later + masses[0]) / (1 - min(masses[0], 0.999_999)))
    return expected[-1]
