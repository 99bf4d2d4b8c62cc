"""A metric, as both sinks make it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Metric", "Reading", "Sample", "count", "counter", "gauge"]

Sample: TypeAlias = tuple[float, tuple[str, ...]]
"""A value, and the values of its metric's labels."""
Reading: TypeAlias = Callable[[Any], Iterable[Sample]]
"""Returns what an event adds to a metric; for a gauge, what it sets it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, with the events that it is read from.

    No label holds a token, a user, a session, a path or a key id: each has a few values, fixed by
    the code or, for issuers, by the settings.
    """

    name: str
    """As in OpenTelemetry, without ``linqi.``: dots part name spaces, underscores words."""
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    unit: str
    """In the code of UCUM: ``s``, or what is counted in braces, as in ``{request}``."""
    labels: tuple[str, ...]
    """By their short names; `ATTRIBUTES` has those of OpenTelemetry."""
    readings: Mapping[type[Any], Reading]
    buckets: tuple[float, ...] = ()
    """The upper bounds of a histogram."""
    at_start: float | None = None
    """The value of a gauge before the first event; None for a gauge without one."""
    known: tuple[tuple[str, ...], ...] = ()
    """Values of the labels that are there from the start with 0: Prometheus sees no increase in a
    series that begins with 1, so an alert would miss the first event of a process."""


def _one(*fields: str) -> Reading:
    """Return the reading that counts 1, with fields of the event as labels."""
    return lambda event: ((1, tuple(str(getattr(event, name)) for name in fields)),)


def counter(
    name: str,
    meaning: str,
    unit: str,
    readings: Mapping[type[Any], Reading],
    *labels: str,
    known: tuple[tuple[str, ...], ...] = (),
) -> Metric:
    """Return a counter of what `readings` read from events."""
    return Metric(
        name=name,
        kind="counter",
        meaning=meaning,
        unit=unit,
        labels=labels,
        readings=readings,
        known=known,
    )


def count(
    name: str,
    meaning: str,
    unit: str,
    event: type[Any],
    *labels: str,
    known: tuple[tuple[str, ...], ...] = (),
) -> Metric:
    """Return the counter of one kind of event, whose fields are its labels."""
    return counter(name, meaning, unit, {event: _one(*labels)}, *labels, known=known)


def gauge(
    name: str,
    meaning: str,
    unit: str,
    readings: Mapping[type[Any], Callable[[Any], float]],
    at_start: float | None = None,
) -> Metric:
    """Return a gauge of the values that `readings` read from events."""

    def reading(value_of: Callable[[Any], float]) -> Reading:
        return lambda event: ((value_of(event), ()),)

    return Metric(
        name=name,
        kind="gauge",
        meaning=meaning,
        unit=unit,
        labels=(),
        readings={event: reading(value_of) for event, value_of in readings.items()},
        at_start=at_start,
    )
