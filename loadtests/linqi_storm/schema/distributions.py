"""Distributions in the result of a storm: latencies in milliseconds, lags and pauses in seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Histogram", "Latencies", "Percentiles", "Spectrum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles of the latencies of one second, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """All percentiles of a set of latencies, in milliseconds, at three significant digits."""

    count: int
    mean_ms: float
    max_ms: float
    percentiles: tuple[float, ...]
    """In ascending order, from 0 to 100; denser towards 100."""
    values_ms: tuple[float, ...]
    """The latency at each of `percentiles`."""
    hdr: str
    """The histogram itself, in microseconds, in HdrHistogram's compressed encoding (V2)."""

    def at(self, percentile: float) -> float:
        """Return the latency in milliseconds that `percentile` per cent do not exceed."""
        pairs = zip(self.percentiles, self.values_ms, strict=True)
        return next((value for reached, value in pairs if reached >= percentile), self.max_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Latencies of the same requests, measured from two instants.

    ``service`` is measured from when a request was sent. ``intended`` is measured from when it
    should have been sent, so that it includes the wait behind a stalled server or generator: it
    is the latency that a user sees.
    """

    service: Spectrum
    intended: Spectrum


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Sparse counts of values at three significant digits, in seconds unless stated otherwise."""

    values: tuple[float, ...] = ()
    """In ascending order: the upper end of each bucket."""
    counts: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """The number of values counted."""
        return sum(self.counts)

    def share_above(self, value: float) -> float:
        """Return the share of the values above `value`, 0 to 1; 0 if nothing was counted."""
        above = sum(
            count for upper, count in zip(self.values, self.counts, strict=True) if upper > value
        )
        return above / self.total if self.total else 0.0
