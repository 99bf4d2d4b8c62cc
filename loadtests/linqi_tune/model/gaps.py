"""The pauses between two pages of a session, as an empirical distribution."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from linqi.errors import ConfigurationError

__all__ = ["GapDistribution"]

_THINNED: Final = 4_000
_LONGEST_CHAIN: Final = 10_000


class GapDistribution:
    """The gaps between two pages of a session, in seconds, each with its count.

    The models need only one integral, ``restricted_mean(x) = E[min(g, x)]``, which is
    the integral of the survival function from 0 to x.
    """

    __slots__ = ("_counts", "_moments", "_thin", "_values", "mean", "total")

    def __init__(self, values: Sequence[float], counts: Sequence[float] | None = None) -> None:
        weights = itertools.repeat(1.0) if counts is None else counts
        pairs = sorted(zip(values, weights, strict=counts is not None))
        if any(not math.isfinite(value) or value < 0 or count < 0 for value, count in pairs):
            raise ConfigurationError(
                ["a gap must be a finite number of seconds, and its count at least 0"]
            )
        pairs = [(value, count) for value, count in pairs if count > 0]
        self._values = [value for value, _ in pairs]
        self._counts = [0.0, *itertools.accumulate(count for _, count in pairs)]
        self._moments = [0.0, *itertools.accumulate(value * count for value, count in pairs)]
        self._thin: dict[tuple[float, int], GapDistribution] = {}
        self.total = self._counts[-1]
        """The number of gaps."""
        self.mean = self._moments[-1] / self.total if self.total else math.inf
        """The mean gap in seconds; infinite if there is none."""

    @classmethod
    def merged(cls, parts: Iterable[GapDistribution]) -> GapDistribution:
        """Return the distribution of all gaps of `parts`."""
        sums: dict[float, float] = {}
        for part in parts:
            for value, count in part.items():
                sums[value] = sums.get(value, 0.0) + count
        return cls(list(sums), list(sums.values()))

    @classmethod
    def binned(cls, sums: Mapping[float, tuple[float, float]]) -> GapDistribution:
        """Return a distribution from bins, each with its count and the sum of its gaps."""
        return cls(
            [total / count for count, total in sums.values()], [count for count, _ in sums.values()]
        )

    def completed(self, open_gaps: GapDistribution) -> GapDistribution:
        """Return the distribution with gaps that had not ended when the log did.

        Without them long gaps would be missing. Each is spread over the gaps longer than itself:
        Kaplan and Meier's estimate, by Efron's redistribution to the right (JASA 53, 1958; 5th
        Berkeley Symposium IV, 1967). What remains counts as a gap as long as the longest.
        """
        events = [(value, 0, count) for value, count in self.items()]
        events += [(value, 1, count) for value, count in open_gaps.items()]
        left = self.total + open_gaps.total
        share_left, values, counts = 1.0, [], []
        for value, is_open, count in sorted(events):
            if not is_open:
                values.append(value)
                counts.append(share_left * count / left * self.total)
                share_left *= 1 - count / left
            left -= count
        if share_left > 1e-9 and events:
            values.append(max(value for value, _, _ in events))
            counts.append(share_left * self.total)
        return GapDistribution(values, counts)

    def items(self) -> Iterable[tuple[float, float]]:
        """Return each gap with its count, in rising order."""
        counts = (b - a for a, b in itertools.pairwise(self._counts))
        return zip(self._values, counts, strict=True)

    def restricted_mean(self, x: float) -> float:
        """Return ``E[min(g, x)]`` in seconds."""
        if not self.total:
            return x
        below = bisect.bisect_right(self._values, x)
        above = self.total - self._counts[below]
        # No subtraction of the tail: x may be infinite.
        return (self._moments[below] + (x * above if above else 0.0)) / self.total

    def residual_below(self, x: float) -> float:
        """Return the chance that, at a random instant, the next visit comes within `x` seconds.

        The equilibrium distribution of a renewal process, ``E[min(g, x)] / E[g]`` (Cox, Renewal
        Theory, 1962, section 5.1). A random instant falls into long gaps more often than into
        short ones.
        """
        return self.restricted_mean(x) / self.mean if self.total and self.mean else 1.0

    def quantile(self, share: float) -> float:
        """Return the gap that the share `share` of all gaps does not exceed."""
        place = bisect.bisect_left(self._counts, share * self.total, 1)
        return self._values[min(place, len(self._values)) - 1] if self._values else math.inf

    def condensed(self, most: int = 1_000) -> GapDistribution:
        """Return a distribution of about `most` values: adjacent gaps as their mean."""
        step = math.ceil(len(self._values) / most)
        if step <= 1:
            return self
        starts = range(0, len(self._values), step)
        ends = [min(start + step, len(self._values)) for start in starts]
        counts = [self._counts[e] - self._counts[s] for s, e in zip(starts, ends, strict=True)]
        sums = [self._moments[e] - self._moments[s] for s, e in zip(starts, ends, strict=True)]
        return GapDistribution(
            [total / count for total, count in zip(sums, counts, strict=True)], counts
        )

    def scaled(self, factor: float) -> GapDistribution:
        """Return the same distribution with every gap `factor` times as long."""
        if factor == 1:
            return self
        return GapDistribution(
            [value * factor for value in self._values],
            [b - a for a, b in itertools.pairwise(self._counts)],
        )

    def thinned(self, share: float, *, seed: int = 1) -> GapDistribution:
        """Return the gaps of a stream that keeps each visit with the chance `share`, above 0 to 1.

        Its gaps are sums of a geometric number of gaps. They are drawn 4,000 times with a fixed
        seed, so that equal measurements lead to equal results; accurate to about 3 %.
        """
        if share >= 1 or not self.total:
            return self
        if (share, seed) not in self._thin:
            self._thin[share, seed] = self._drawn(share, seed)
        return self._thin[share, seed]

    def _drawn(self, share: float, seed: int) -> GapDistribution:
        draw = random.Random(seed)  # noqa: S311 - a simulation
        # Each quantile once, in a random order: long gaps occur as often as they should.
        drawn = self._strata(draw)
        gaps = []
        for _ in range(_THINNED):
            chain = min(_LONGEST_CHAIN, 1 + int(math.log(1 - draw.random()) / math.log1p(-share)))
            gaps.append(sum(next(drawn) for _ in range(chain)))
        scale = self.mean / share / (sum(gaps) / len(gaps))
        return GapDistribution([gap * scale for gap in gaps])

    def _strata(self, draw: random.Random) -> Iterator[float]:
        while True:
            places = [(n + draw.random()) / _THINNED for n in range(_THINNED)]
            draw.shuffle(places)
            yield from map(self.quantile, places)
