"""How often a verified token is found in the cache, and what the cache holds for it."""

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
    """Give the popularity of sessions of which the n-th comes ``1 / n**exponent`` as often.

    Ranks are taken together in 24 classes of equal ratio, each with its mean.
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
    """The tokens that the workers see, and how they come."""

    popularity: Sequence[tuple[float, float]]
    """Classes of sessions: how many, and how many times the mean rate each of them comes."""
    gaps: GapDistribution
    """Between pages of a session of mean rate, in seconds."""
    parallel: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    """Requests per page with the share of pages that have so many."""
    workers: int = 1
    period: float = 600.0
    """``lifetime - buffer``, in seconds: after it a session has another token."""
    caches_issued: bool = True
    """Whether the worker that signs a token puts it into its cache."""

    @property
    def per_page(self) -> float:
        """Mean requests per page."""
        weight = sum(share for _, share in self.parallel)
        return float(sum(size * share for size, share in self.parallel) / weight)

    @property
    def share_met(self) -> float:
        """The chance that a page meets one worker: the mean of ``1 - (1 - 1/W)**C``."""
        if self.workers == 1:
            return 1.0
        weight = sum(share for _, share in self.parallel)
        missed = sum(s * math.pow(1 - 1 / self.workers, size) for size, s in self.parallel)
        return 1 - missed / weight


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSize:
    """A worker's cache: at most so many entries, each for at most `lifetime` seconds."""

    entries: float
    lifetime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRatio:
    """What a cache gives."""

    share: float
    """Of requests that are answered from it."""
    keep: float
    """Seconds after which an untouched entry is evicted (Che's characteristic time)."""
    entries: float
    """How many a worker holds."""


def hit_ratio(tokens: TokenTraffic, size: CacheSize) -> HitRatio:
    """Give the share of hits of an LRU cache whose entries also age out.

    Che's approximation (Che, Tung, Wang, IEEE JSAC 20, 2002): an LRU cache keeps an entry for one
    time after its last use, the same for all, namely the one at which the expected entries fill
    the cache. A visit is a hit if its gap is below that time and its entry younger than the
    lifetime; the expected hits after a miss solve a renewal equation over the law of the gaps, so
    that people who click and then read are counted as they come. Each worker has a cache of its
    own and meets a page with `TokenTraffic.share_met`; further requests of the page at the same
    worker are hits. Replaced tokens stay until they are evicted, and a new token is a miss at every
    worker except the one that made it.
    """
    met = tokens.share_met
    visits = tokens.gaps.thinned(met)
    keep = _keep(tokens, visits, size.entries)
    misses = pages = 0.0
    for count, rate in tokens.popularity:
        if rate <= 0 or count <= 0:
            continue
        law = visits.scaled(1 / rate)
        hits = _hits_after_a_miss(law, keep, size.lifetime, tokens.period)
        per_second = count / law.mean
        missed = per_second / (1 + hits)
        if tokens.caches_issued:
            # Of each token's first misses, one at the worker that signed does not happen.
            missed -= min(missed, count / max(tokens.period, law.mean)) / tokens.workers
        misses += missed * tokens.workers
        pages += count * rate / tokens.gaps.mean
    share = max(0.0, 1 - misses / (pages * tokens.per_page)) if pages else 0.0
    return HitRatio(share=share, keep=keep, entries=min(size.entries, _held(tokens, visits, keep)))


def entries_needed(tokens: TokenTraffic, lifetime: float) -> float:
    """Give the entries a worker needs so that only age ends them, and no eviction.

    Those used within the lifetime, and the ones replaced within it that linger.
    """
    visits = tokens.gaps.thinned(tokens.share_met)
    return _held(tokens, visits, lifetime)


def _held(tokens: TokenTraffic, visits: GapDistribution, keep: float) -> float:
    """Give how many entries a worker has whose last use is at most `keep` seconds ago.

    The token of each session that came lately, and the replaced ones that linger.
    """
    held = 0.0
    for count, rate in tokens.popularity:
        replaced = visits.residual_below(tokens.period * rate) * keep / tokens.period
        held += count * (visits.residual_below(keep * rate) + replaced)
    return held


def _keep(tokens: TokenTraffic, visits: GapDistribution, entries: float) -> float:
    """Give the characteristic time: the one at which the expected entries fill the cache."""
    return root_above(lambda keep: _held(tokens, visits, keep) < entries, most=1e9)


def _hits_after_a_miss(law: GapDistribution, keep: float, lifetime: float, period: float) -> float:
    """Give the expected visits, after a miss, that find its entry.

    ``m(x) = integral over u <= min(x, keep) of exp(-u / period) (1 + m(x - u)) dF(u)`` for an
    entry with `x` seconds of its lifetime left; the factor is the chance that the token was not
    replaced meanwhile. Solved on 160 steps.
    """
    span = min(lifetime, 50 * period)
    step = span / _STEPS
    masses = [0.0] * (_STEPS + 1)
    inside = law.total
    for gap, count in law.items():
        if gap <= min(span, keep):
            masses[round(gap / step)] += count / inside * math.exp(-gap / period)
    expected: list[float] = []
    for n in range(_STEPS + 1):
        later = sum(masses[u] * (1 + expected[n - u]) for u in range(1, n + 1))
        expected.append((later + masses[0]) / (1 - min(masses[0], 0.999_999)))
    return expected[-1]
