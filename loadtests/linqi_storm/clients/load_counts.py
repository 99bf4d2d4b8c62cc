"""Counts and latencies by second, in a form that adds up over generators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from hdrh.histogram import HdrHistogram

from linqi_storm.clients.client_session import Tally
from linqi_storm.schema.results import Histogram, Percentiles, Spectrum

__all__ = [
    "LoadRecorder",
    "LoadTotals",
    "SecondSums",
    "new_histogram",
    "percentiles_of",
    "spectrum_of",
]

_LONGEST_US: Final = 120_000_000
_RENEWING: Final = frozenset({"renewed", "refreshed"})
_MOST_KEPT: Final = 200
_EVERY_OTHER: Final = 8
"""Of the requests that renew nothing, one in eight is kept for the comparison."""
_LEAST_KEPT: Final = 20
_DIGITS: Final = 3


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of integers up to 120 million, at three significant digits."""
    return HdrHistogram(1, _LONGEST_US, _DIGITS)


def percentiles_of(histogram: HdrHistogram) -> Percentiles | None:
    """Return percentiles in milliseconds of a histogram in microseconds; None if it is empty."""
    if not histogram.get_total_count():
        return None
    at = histogram.get_value_at_percentile
    return Percentiles(
        count=histogram.get_total_count(),
        p50_ms=at(50) / 1000,
        p99_ms=at(99) / 1000,
        p999_ms=at(99.9) / 1000,
        max_ms=histogram.get_max_value() / 1000,
    )


def spectrum_of(histogram: HdrHistogram) -> Spectrum:
    """Return all percentiles in milliseconds of a histogram in microseconds."""
    steps = [
        (step.percentile_level_iterated_to, step.value_iterated_to / 1000)
        for step in histogram.get_percentile_iterator(5)
    ]
    is_empty = not histogram.get_total_count()
    return Spectrum(
        count=histogram.get_total_count(),
        mean_ms=0.0 if is_empty else histogram.get_mean_value() / 1000,
        max_ms=0.0 if is_empty else histogram.get_max_value() / 1000,
        percentiles=tuple(level for level, _ in steps),
        values_ms=tuple(value for _, value in steps),
        hdr=histogram.encode().decode("ascii"),
    )


def sparse(histogram: HdrHistogram, unit: float) -> Histogram:
    """Return the non-empty buckets of `histogram`, each value multiplied by `unit`."""
    steps = [
        (step.value_iterated_to, step.count_added_in_this_iter_step)
        for step in histogram.get_recorded_iterator()
    ]
    return Histogram(
        values=tuple(value * unit for value, _ in steps), counts=tuple(count for _, count in steps)
    )


Counts: TypeAlias = defaultdict[int, int]
"""How often each integer was seen. A generator has no time to fill histograms, nor to count a whole
second at once: 10 ms for 10,000 requests, which would make the next ones late."""

Flat: TypeAlias = tuple[list[int], list[int]]
"""The integers, and how often each was seen. A pair for each would be an object for the garbage
collection: 10 ms a second."""


def _no_counts() -> Counts:
    return defaultdict(int)


@dataclass(slots=True)
class SecondSums:
    """Counts of the requests planned for one second."""

    outcomes: Counter[str] = field(default_factory=Counter)
    hostile: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    cpu: float = 0.0
    service_us: Counts = field(default_factory=_no_counts)
    intended_us: Counts = field(default_factory=_no_counts)
    lag_us: Counts = field(default_factory=_no_counts)
    renewed_us: list[int] = field(default_factory=list)
    """Service latencies of requests that renewed, at most 200, in microseconds."""
    other_us: list[int] = field(default_factory=list)
    """The same of other successful requests: a sample."""


class LoadRecorder:
    """Counts the requests of one generator, and returns what is new since the last report.

    Latencies are in microseconds and belong to the second for which a request was planned.
    """

    def __init__(self, number: int = 0) -> None:
        self.tally = Tally()
        self._number = number
        self._others = 0
        self._clear()

    def _clear(self) -> None:
        self.seconds: defaultdict[int, SecondSums] = defaultdict(SecondSums)
        self.gaps_ms = _no_counts()
        self.parallel: Counter[int] = Counter()

    def record(
        self,
        intended: float,
        outcome: str,
        service_s: float,
        intended_s: float,
        *,
        in_flight: int = 0,
    ) -> None:
        """Record one honest request, planned for `intended`, with both latencies in seconds.

        `in_flight` is the number of requests that had no response just before this one had.
        """
        sums = self.seconds[int(intended)]
        sums.outcomes[outcome] += 1
        service_us = int(service_s * 1e6)
        sums.service_us[service_us] += 1
        sums.intended_us[int(intended_s * 1e6)] += 1
        if in_flight > sums.in_flight:
            sums.in_flight = in_flight
        if outcome == "ok":
            self._others += 1
            if not self._others % _EVERY_OTHER or len(sums.other_us) < _LEAST_KEPT:
                sums.other_us.append(service_us)
        elif outcome in _RENEWING and len(sums.renewed_us) < _MOST_KEPT:
            sums.renewed_us.append(service_us)

    def record_hostile(self, intended: float, outcome: str) -> None:
        """Record one hostile request: its planned instant and its outcome."""
        self.seconds[int(intended)].hostile[outcome] += 1

    def record_lag(self, intended: float, seconds: float) -> None:
        """Record how late a request was sent that was planned for `intended`."""
        self.seconds[int(intended)].lag_us[int(seconds * 1e6)] += 1

    def record_gap(self, seconds: float) -> None:
        """Record the pause between two pages, in seconds."""
        self.gaps_ms[int(min(seconds, 1e5) * 1000)] += 1

    def note(self, second: int, *, in_flight: int, cpu: float | None = None) -> None:
        """Record the state of the generator in a second; the highest values are kept."""
        sums = self.seconds[second]
        sums.in_flight = max(sums.in_flight, in_flight)
        if cpu is not None:
            sums.cpu = max(sums.cpu, cpu)

    def delta(self) -> dict[str, Any]:
        """Return all counts since the last call as plain values, and reset them."""
        tally = {item.name: _plain(getattr(self.tally, item.name)) for item in fields(Tally)}
        news = {
            "generator": self._number,
            "seconds": [
                {
                    "second": second,
                    "outcomes": dict(sums.outcomes),
                    "hostile": dict(sums.hostile),
                    "in_flight": sums.in_flight,
                    "cpu": sums.cpu,
                    "service": _flat(sums.service_us),
                    "intended": _flat(sums.intended_us),
                    "lag": _flat(sums.lag_us),
                    "renewed_us": sums.renewed_us,
                    "other_us": sums.other_us,
                }
                for second, sums in self.seconds.items()
            ],
            "gaps": _flat(self.gaps_ms),
            "parallel": list(self.parallel.items()),
            "tally": tally,
        }
        self._clear()
        fresh = Tally()
        for item in fields(Tally):  # in place: the driver holds a reference
            setattr(self.tally, item.name, getattr(fresh, item.name))
        return news


def _flat(counts: Counts) -> Flat:
    return [*counts], [*counts.values()]


def _add(histogram: HdrHistogram, counted: Flat) -> None:
    for value, count in zip(*counted, strict=True):
        histogram.record_value(max(1, value), count)


def _encoded(counted: Flat) -> str:
    """Return a histogram in a hundredth of the memory of the counts."""
    histogram = new_histogram()
    _add(histogram, counted)
    return histogram.encode().decode("ascii")  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: the keys of a counter may be numbers."""
    return list(value.items()) if isinstance(value, Counter) else value


@dataclass(slots=True)
class _SecondTotals:
    """The counts of all generators for one second; histograms stay encoded."""

    outcomes: Counter[str] = field(default_factory=Counter)
    hostile: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    cpu: float = 0.0
    service: list[str] = field(default_factory=list)
    intended: list[str] = field(default_factory=list)
    lag: list[str] = field(default_factory=list)
    renewed_us: list[int] = field(default_factory=list)
    other_us: list[int] = field(default_factory=list)


class LoadTotals:
    """The sums over all generators."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.lag = new_histogram()
        self.gaps = new_histogram()
        self.parallel: Counter[int] = Counter()
        self._seconds: defaultdict[int, _SecondTotals] = defaultdict(_SecondTotals)
        self._latest: dict[int, int] = {}

    def merge(self, news: Mapping[str, Any]) -> None:
        """Add what `LoadRecorder.delta` returned in a generator."""
        for row in news["seconds"]:
            kept = self._seconds[row["second"]]
            kept.outcomes.update(row["outcomes"])
            kept.hostile.update(row["hostile"])
            kept.in_flight = max(kept.in_flight, row["in_flight"])
            kept.cpu = max(kept.cpu, row["cpu"])
            kept.service.append(_encoded(row["service"]))
            kept.intended.append(_encoded(row["intended"]))
            kept.lag.append(_encoded(row["lag"]))
            self.lag.decode_and_add(kept.lag[-1])
            kept.renewed_us += row["renewed_us"]
            kept.other_us += row["other_us"]
            reported = self._latest.get(news["generator"], -1)
            self._latest[news["generator"]] = max(reported, row["second"])
        _add(self.gaps, news["gaps"])
        self.parallel.update(dict(news["parallel"]))
        _add_tally(self.tally, news["tally"])

    @property
    def seconds(self) -> list[int]:
        """The seconds with any count, in order."""
        return sorted(self._seconds)

    def latest_whole_second(self) -> int | None:
        """Return the last second that every generator has reported completely, or None."""
        incomplete = min(self._latest.values(), default=0)
        return max((known for known in self._seconds if 0 <= known < incomplete), default=None)

    def counts(self, second: int) -> _SecondTotals:
        """Return the counts of a second."""
        return self._seconds[second]

    def latencies(self, seconds: Iterable[int]) -> tuple[HdrHistogram, HdrHistogram]:
        """Return the service and the intended latencies of all `seconds` together."""
        service, intended = new_histogram(), new_histogram()
        for second in seconds:
            for encoded in self._seconds[second].service:
                service.decode_and_add(encoded)
            for encoded in self._seconds[second].intended:
                intended.decode_and_add(encoded)
        return service, intended

    def lags(self, seconds: Iterable[int]) -> HdrHistogram:
        """Return how late the requests planned for `seconds` were sent."""
        lags = new_histogram()
        for second in seconds:
            for encoded in self._seconds[second].lag:
                lags.decode_and_add(encoded)
        return lags


def _add_tally(tally: Tally, news: Mapping[str, Any]) -> None:
    for item in fields(Tally):
        value = news[item.name]
        kept = getattr(tally, item.name)
        if isinstance(kept, Counter):
            kept.update(dict(value))
        elif isinstance(value, list):
            kept.extend(tuple(one) if isinstance(one, list) else one for one in value)
        else:
            setattr(tally, item.name, kept + value)
