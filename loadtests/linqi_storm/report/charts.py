"""The charts of a storm's report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from linqi_report.charts import Axis, Band, Mark, Series, line_chart, percentile_chart
from linqi_storm.schema.results import Histogram, Latencies, Percentiles, Second, StormRun

__all__ = [
    "OUTCOMES",
    "Figure",
    "generator_figures",
    "lag_figures",
    "latency_figures",
    "outcome_figures",
    "renewal_figures",
    "request_figures",
    "server_figures",
    "signature_figures",
    "spectrum_figures",
]

Figure: TypeAlias = tuple[str, str]
"""A caption and its SVG."""
_Points: TypeAlias = "list[tuple[float, float | None]]"

OUTCOMES: Final[Mapping[str, tuple[str, tuple[str, ...], str]]] = {
    "answered": ("2xx", ("ok", "refreshed"), "1"),
    "renewed": ("2xx with a successor", ("renewed",), "ok"),
    "quiet": ("2xx, quiet", ("quiet",), "3"),
    "refused": ("401 or 403", ("refused",), "4"),
    "limited": ("429", ("limited",), "6"),
    "unavailable": ("503", ("unavailable",), "2"),
    "failed": ("other 5xx, or an unexpected status", ("failed", "strange"), "bad"),
    "silent": ("no response", ("timeout", "broken"), "5"),
    "dropped": ("discarded by the scenario", ("dropped",), "soft"),
}
"""Kinds of responses in stacking order: name, keys of `Second.outcomes`, colour."""

_SIDES: Final = {"intended": "since due", "service": "since sent"}
_SMALL: Final = 150
_BARS: Final = 48
_BAND: Final = 1.96
"""95 % of a normal distribution."""


def _time(run: StormRun) -> Axis:
    last = max((second.second + 1 for second in run.timeline), default=1)
    return Axis(
        label="since the start of the load",
        unit="s",
        low=0,
        high=max(run.setup.load.duration_seconds, min(last, run.setup.load.duration_seconds * 1.2)),
    )


def _bands(run: StormRun) -> list[Band]:
    return [Band(start=w.begins, end=w.ends, label=w.label) for w in run.windows]


def _over_time(
    run: StormRun,
    title: str,
    series: Sequence[Series],
    y: Axis,
    *,
    marks: Sequence[Mark] = (),
    height: int = 220,
) -> Figure:
    return title, line_chart(
        title, series, _time(run), y, bands=_bands(run), marks=marks, height=height
    )


def _curve(run: StormRun, value: Callable[[Second], float | None]) -> _Points:
    """Return a value of each second, at its middle."""
    return [(second.second + 0.5, value(second)) for second in run.timeline]


def _until(run: StormRun, points: _Points) -> _Points:
    """Return the points within the time axis: an earlier run may have been longer."""
    end = _time(run).high or 0.0
    return [(at, value) for at, value in points if at <= end]


def renewal_figures(run: StormRun, against: StormRun | None = None) -> Iterator[Figure]:
    """Draw the renewal rate with the lowest possible rate, the range of chance and the peak."""
    if not run.peaks:
        return
    peak, end = run.peaks[0], run.setup.load.duration_seconds
    floor, window = peak.floor_per_second, peak.window_seconds
    low = max(0.0, floor - _BAND * math.sqrt(floor / window))
    high = floor * peak.noise95
    by_chance = [(0, low, high), (end, low, high)]
    series = [
        Series(name="renewals/s", points=_rates(run), hue="1", dash=0),
        Series(name="lowest possible rate", points=[(0, floor), (end, floor)], hue="soft", dash=1),
        Series(name="range of chance", points=[], hue="3", interval=by_chance),
    ]
    if against is not None:
        series.insert(
            1, Series(name="earlier run", points=_until(run, _rates(against)), hue="2", dash=1)
        )
    marks = []
    if peak.at is not None:
        marks.append(Mark(at=peak.at, label=f"peak {peak.peak_per_second:.0f}/s"))
    caption = (
        f"Renewals per second, in a sliding window of {window:.3g} s"
        if run.rates is not None
        else "Renewals in each second (the peak is taken in a sliding window and may be higher)"
    )
    yield _over_time(
        run, caption, series, Axis(label="renewals", unit="1/s"), marks=marks, height=280
    )


def _rates(run: StormRun) -> _Points:
    if run.rates is None:
        return _curve(run, lambda second: second.renewals)
    step, half = run.rates.step_seconds, run.rates.window_seconds / 2
    return [(place * step + half, rate) for place, rate in enumerate(run.rates.per_second)]


def request_figures(run: StormRun) -> Iterator[Figure]:
    """Draw honest and hostile requests per second."""
    if not run.timeline:
        return
    series = [Series(name="honest", points=_curve(run, lambda s: s.requests), hue="1", dash=0)]
    if any(second.hostile for second in run.timeline):
        hostile = _curve(run, lambda s: sum(s.hostile.values()))
        series.append(Series(name="hostile", points=hostile, hue="5", dash=1))
    yield _over_time(run, "Requests per second", series, Axis(label="requests", unit="1/s"))


def latency_figures(run: StormRun, against: StormRun | None = None) -> Iterator[Figure]:
    """Draw latency by second, since requests were due and since they were sent."""
    if not any(second.intended or second.service for second in run.timeline):
        return
    kinds = (("p50", "p50_ms", "3"), ("p99", "p99_ms", "1"), ("p99.9", "p999_ms", "5"))
    axis = Axis(label="latency", unit="ms", is_log=True)
    series = [
        Series(
            name=f"{name} {_SIDES[side]}",
            points=_latency(run, side, field),
            hue=hue,
            dash=0 if side == "intended" else 2,
        )
        for side in ("intended", "service")
        for name, field, hue in kinds
    ]
    yield _over_time(
        run,
        "Latency by second: since the request was due (solid) and since it was sent (dotted)",
        series,
        axis,
        height=280,
    )
    if against is not None:
        before = _until(run, _latency(against, "intended", "p99_ms"))
        pair = [
            Series(name="this run", points=_latency(run, "intended", "p99_ms"), dash=0),
            Series(name="earlier run", points=before, dash=1),
        ]
        yield _over_time(run, "p99 latency since due, compared with the earlier run", pair, axis)


def _latency(run: StormRun, side: str, field: str) -> _Points:
    def value(second: Second) -> float | None:
        known: Percentiles | None = getattr(second, side)
        return None if known is None else float(getattr(known, field))

    return _curve(run, value)


def outcome_figures(run: StormRun) -> Iterator[Figure]:
    """Draw the responses to honest requests by kind, stacked."""
    if not run.timeline:
        return
    series, below = [], [0.0] * len(run.timeline)
    for name, keys, hue in OUTCOMES.values():
        counts = [sum(s.outcomes.get(key, 0) for key in keys) for s in run.timeline]
        if not any(counts):
            continue
        band = []
        for place, (second, count) in enumerate(zip(run.timeline, counts, strict=True)):
            low, high = below[place], below[place] + count
            band += [(second.second, low, high), (second.second + 1, low, high)]
            below[place] = high
        series.append(
            Series(name=f"{name}: {sum(counts)}", points=[], interval=band, is_area=True, hue=hue)
        )
    if series:
        axis = Axis(label="responses", unit="1/s")
        yield _over_time(run, "Responses to honest requests by kind, stacked", series, axis)


def signature_figures(run: StormRun) -> Iterator[Figure]:
    """Draw signatures and the successors that clients received."""
    if not any(second.signatures is not None for second in run.timeline):
        return
    series = [
        Series(name="distinct successors", points=_curve(run, lambda s: s.renewals), dash=0),
        Series(name="signatures", points=_curve(run, lambda s: s.signatures), dash=1),
    ]
    if any(second.renewals_served for second in run.timeline):
        served = _curve(run, lambda s: s.renewals_served)
        series.append(Series(name="responses with a successor", points=served, dash=2))
    yield _over_time(
        run, "Signatures and successors per second", series, Axis(label="count", unit="1/s")
    )


def lag_figures(run: StormRun) -> Iterator[Figure]:
    """Draw the time from due for renewal to the first request, and the loss by buffer length."""
    lags = run.lags.lags
    if not lags.total:
        return
    buffer = run.setup.load.buffer_seconds
    top = max(lags.values[-1], buffer) * 1.05
    axis = Axis(label="from due for renewal to the next request", unit="s", low=0, high=top)
    marks = [Mark(at=buffer, label=f"buffer {buffer:g} s")]
    bars = Series(name="renewals", points=[], interval=_bars(lags, top), is_area=True, hue="1")
    title = "Renewal lag: time from when a token was due for renewal to the next request"
    count = Axis(label="renewals")
    yield title, line_chart(title, [bars], axis, count, marks=marks, height=_SMALL)
    title = "Renewals that a shorter or longer buffer would lose"
    curve = Series(name="share lost", points=_survival(lags), hue="1", dash=0)
    least = max(0.3 / lags.total, 1e-7)
    share = Axis(label="share lost", is_log=True, low=least, high=1)
    yield title, line_chart(title, [curve], axis, share, marks=marks, height=_SMALL + 50)


def _bars(lags: Histogram, top: float) -> list[tuple[float, float, float]]:
    counts = [0] * _BARS
    for value, count in zip(lags.values, lags.counts, strict=True):
        counts[min(_BARS - 1, int(value / top * _BARS))] += count
    return [
        (top * end / _BARS, 0.0, float(count))
        for place, count in enumerate(counts)
        for end in (place, place + 1)
    ]


def _survival(lags: Histogram) -> _Points:
    """Return the steps of the share above a value; a share of 0 cannot be drawn."""
    points: list[tuple[float, float | None]] = [(0.0, 1.0)]
    left, total = lags.total, lags.total
    for value, count in zip(lags.values, lags.counts, strict=True):
        points.append((value, left / total))
        left -= count
        if left:
            points.append((value, left / total))
    return points


def server_figures(run: StormRun) -> Iterator[Figure]:
    """Draw the samples of the servers; nothing if they were not sampled."""
    if any(second.cache_hits for second in run.timeline):
        share = Axis(label="hits", unit="%", low=0, high=100)
        hits = Series(name="hits", points=_curve(run, _hit_share))
        yield _over_time(run, "Hits of the cache of verified tokens", [hits], share, height=_SMALL)
    for title, field, label, unit, factor in (
        ("Event-loop lag: the longest in each second", "loop_lag_ms", "lag", "ms", 1.0),
        ("CPU of each worker, share of one core", "cpu", "CPU", "%", 100.0),
        ("Resident memory of each worker", "memory_mb", "memory", "MB", 1.0),
    ):
        series = [
            Series(name=name, points=_curve(run, _of_worker(place, field, factor)))
            for place, name in enumerate(run.workers)
        ]
        if any(value is not None for each in series for _, value in each.points):
            axis = Axis(label=label, unit=unit)
            yield _over_time(run, title, series, axis, height=_SMALL)
    for title, field, label in (
        ("Renewals deferred by the budget and still waiting", "budget_queue", "sessions"),
        ("Store round trips per second", "store_calls", "calls"),
    ):
        if any(getattr(second, field) for second in run.timeline):
            points = _curve(run, lambda s, name=field: getattr(s, name))  # type: ignore[misc]
            series = [Series(name=label, points=points)]
            yield _over_time(run, title, series, Axis(label=label), height=_SMALL)


def _hit_share(second: Second) -> float | None:
    if second.cache_hits is None or second.cache_misses is None:
        return None
    asked = second.cache_hits + second.cache_misses
    return 100 * second.cache_hits / asked if asked else None


def _of_worker(place: int, field: str, factor: float) -> Callable[[Second], float | None]:
    """Return a function that reads one worker's column; a second without a sample is a gap."""

    def value(second: Second) -> float | None:
        columns: tuple[float, ...] = getattr(second, field)
        is_there = place < len(second.memory_mb) and second.memory_mb[place] > 0
        return columns[place] * factor if place < len(columns) and is_there else None

    return value


def spectrum_figures(run: StormRun, against: StormRun | None = None) -> Iterator[Figure]:
    """Draw all percentiles of the latencies."""
    spectra = list(_spectra(run, against))
    if spectra:
        axis = Axis(label="latency", unit="ms", is_log=True)
        title = "Latency by percentile"
        yield title, percentile_chart(title, spectra, axis, height=280)


def _spectra(
    run: StormRun, against: StormRun | None
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    for name, latencies, is_intended in (
        ("all requests, since due", run.latencies, True),
        ("all requests, since sent", run.latencies, False),
        ("inside the windows, since due", run.inside, True),
        ("outside the windows, since due", run.outside, True),
        ("earlier run, since due", None if against is None else against.latencies, True),
    ):
        pairs = _pairs(latencies, is_intended=is_intended)
        if pairs:
            yield name, pairs


def _pairs(latencies: Latencies | None, *, is_intended: bool) -> list[tuple[float, float]]:
    if latencies is None:
        return []
    spectrum = latencies.intended if is_intended else latencies.service
    if not spectrum.count:
        return []
    # Beyond 1 - 1/n there is only the one slowest request.
    last = 100 * (1 - 1 / max(2, spectrum.count))
    pairs = zip(spectrum.percentiles, spectrum.values_ms, strict=True)
    return [(share, value) for share, value in pairs if share < 100 and share <= last]


def generator_figures(run: StormRun) -> Iterator[Figure]:
    """Draw how late the generator was, its CPU and its unanswered requests."""
    if not run.timeline:
        return
    if any(second.generator_lag_ms for second in run.timeline):
        lag = Series(name="delay", points=_curve(run, lambda s: s.generator_lag_ms))
        late = [Band(start=s, end=s + 1, label="left out") for s in run.generator.late_seconds]
        title, axis = "Delay of requests, p99 in each second", Axis(label="delay", unit="ms", low=0)
        yield title, line_chart(title, [lag], _time(run), axis, bands=late, height=_SMALL)
    busy = Series(name="CPU", points=_curve(run, lambda s: 100 * s.generator_cpu))
    title, axis = "CPU of the busiest generator process", Axis(label="CPU", unit="%", low=0)
    yield _over_time(run, title, [busy], axis, height=_SMALL)
    flight = Series(name="in flight", points=_curve(run, lambda s: s.in_flight))
    title = "Most requests without a response at the same time"
    yield _over_time(run, title, [flight], Axis(label="requests"), height=_SMALL)
