"""The workload of a storm from what a log told: pages, pauses and visits as its users had them."""

from __future__ import annotations

import itertools
import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from linqi.errors import ConfigurationError
from linqi_storm.schema.workload import (
    PageKind,
    PauseLengths,
    VisitPattern,
    Workload,
    WorkloadRequest,
)
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.logged_traffic import LoggedTraffic

__all__ = ["VISIT_SECONDS", "workload_of_log", "workload_remarks"]

VISIT_SECONDS: Final = 1_800.0
"""A longer pause ends a visit: half an hour, as web analytics count visits."""

_VALUES: Final = 1_000
_LONGEST_PAGE: Final = 100
_SEED: Final = 1


def workload_of_log(histories: Histories, traffic: LoggedTraffic) -> Workload:
    """Return the traffic of a log.

    Only ``GET`` requests are kept, because a log has no bodies. Pages are the compositions that
    the log lists, weighted so that each number of parallel requests is as frequent as in the whole
    log; where none of a size is listed, its requests are drawn by the frequency of endpoints.

    Args:
        histories: When each person requested pages.
        traffic: What was requested.

    Raises:
        ConfigurationError: If no person requested two pages, or no request is a ``GET``.

    """
    pauses, pattern = _pauses_and_visits(histories)
    pages = _pages(traffic)
    faults = [] if pauses.total else [f"{traffic.source}: no person requested two pages"]
    if not pages:
        faults.append(f"{traffic.source}: no request is a GET, and a log has no bodies of others")
    if faults:
        raise ConfigurationError(faults)
    return Workload(
        version=1,
        source=traffic.source,
        pages=tuple(pages),
        pauses=_lengths(pauses),
        visits=pattern,
    )


def workload_remarks(traffic: LoggedTraffic) -> tuple[str, ...]:
    """Return what the workload of a log does not contain."""
    total = sum(endpoint.requests for endpoint in traffic.endpoints) + traffic.other_requests
    other = sum(each.requests for each in traffic.endpoints if each.method not in ("", "GET"))
    remarks = []
    if other:
        remarks.append(
            f"{other / total:.1%} of the requests are no GET; a log has no bodies, so they are not"
            " in the workload: add them by hand"
        )
    if traffic.other_requests:
        remarks.append(
            f"{traffic.other_requests / total:.1%} of the requests are of rare endpoints, which are"
            " not in the workload"
        )
    return tuple(remarks)


def _pauses_and_visits(histories: Histories) -> tuple[GapDistribution, VisitPattern | None]:
    """Return the pauses within visits, and the visits; None if no person ever left and returned."""
    pauses: list[float] = []
    absences: list[float] = []
    silences: list[float] = []
    visits = _Visits()
    for instants in histories.pages:
        if not instants:
            continue
        visits.begin_person(instants[0])
        for pause in _differences(instants):
            is_away = pause >= VISIT_SECONDS
            (absences if is_away else pauses).append(pause)
            visits.add_page(is_next=is_away)
        silent = histories.seconds - instants[-1]
        if silent >= VISIT_SECONDS:
            silences.append(silent)
        visits.end_person(has_left=silent >= VISIT_SECONDS)
    if not absences:
        return GapDistribution(pauses), None
    numbers = [(round(value), count) for value, count in visits.lengths().items()]
    pattern = VisitPattern(
        pages=tuple(number for number, _ in numbers),
        counts=tuple(round(count, 3) for _, count in numbers),
        absences=_lengths(_away(absences, silences)),
    )
    return GapDistribution(pauses), pattern


class _Visits:
    """The numbers of pages of visits, each by how much of it the log holds."""

    def __init__(self) -> None:
        self._whole: Counter[int] = Counter()
        self._going_on: Counter[int] = Counter()
        self._begun_before: Counter[int] = Counter()
        self._pages = 0
        self._is_begun_before = False

    def begin_person(self, instant: float) -> None:
        """Begin with the first page of a person, which may not be the first of its visit."""
        self._pages = 1
        self._is_begun_before = instant < VISIT_SECONDS

    def add_page(self, *, is_next: bool) -> None:
        """Count a page; with `is_next` it is the first of the next visit."""
        if is_next:
            self.end_person(has_left=True)
            self._pages, self._is_begun_before = 0, False
        self._pages += 1

    def end_person(self, *, has_left: bool) -> None:
        """Count the visit of the last page."""
        counts = self._whole if has_left else self._going_on
        (self._begun_before if self._is_begun_before else counts)[self._pages] += 1

    def lengths(self) -> GapDistribution:
        """Return the numbers of pages, with visits that had not ended when the log did."""
        if not self._whole:  # a log of minutes: all visits may be longer than it says
            return _of_counts(self._begun_before + self._going_on)
        return _of_counts(self._whole).completed(_of_counts(self._going_on))


def _away(absences: Sequence[float], silences: Sequence[float]) -> GapDistribution:
    """Return the absences, with those that last until the end of the log.

    Users who never return count as absent for as long as the longest silence.
    """
    ended, going_on = list(absences), sorted(silences)
    if going_on and going_on[-1] > max(ended):
        ended.append(going_on.pop())  # Efron's convention: the longest one has ended
    return GapDistribution(ended).completed(GapDistribution(going_on))


def _differences(instants: array[float]) -> Iterable[float]:
    return (later - earlier for earlier, later in itertools.pairwise(instants))


def _of_counts(counts: Mapping[int, int]) -> GapDistribution:
    return GapDistribution([float(each) for each in counts], [float(n) for n in counts.values()])


def _lengths(gaps: GapDistribution) -> PauseLengths:
    pairs = list(gaps.condensed(_VALUES).items())
    return PauseLengths(
        seconds=tuple(round(value, 3) for value, _ in pairs),
        counts=tuple(round(count, 3) for _, count in pairs),
    )


def _pages(traffic: LoggedTraffic) -> list[PageKind]:
    """Return the pages, each size as frequent as in the whole log."""
    listed: defaultdict[int, list[tuple[tuple[str, ...], int]]] = defaultdict(list)
    for page in traffic.pages:
        paths = tuple(path for place in page.requests if (path := _path(traffic, place)))
        if paths:
            listed[len(page.requests)].append((paths, page.count))
    weights: Counter[tuple[str, ...]] = Counter()
    for size, count in traffic.parallel:
        known = listed.get(size) or _drawn(traffic, size)
        total = sum(seen for _, seen in known)
        for paths, seen in known:
            weights[paths] += count * seen / total  # type: ignore[assignment]
    return [
        PageKind(
            weight=round(weight, 4), requests=tuple(WorkloadRequest(path=path) for path in paths)
        )
        for paths, weight in weights.most_common()
        if weight >= 0.0001
    ]


def _path(traffic: LoggedTraffic, place: int) -> str:
    """Return the path of an endpoint that a storm can request; empty if it cannot."""
    if place < 0:
        return ""
    endpoint = traffic.endpoints[place]
    is_plain = endpoint.example.isascii() and endpoint.example.isprintable()
    is_usable = is_plain and endpoint.example.startswith("/") and " " not in endpoint.example
    return endpoint.example if is_usable and endpoint.method in ("", "GET") else ""


def _drawn(traffic: LoggedTraffic, size: int) -> Sequence[tuple[tuple[str, ...], int]]:
    """Return a page of `size` requests, drawn by the frequency of their endpoints."""
    found = [(_path(traffic, place), each) for place, each in enumerate(traffic.endpoints)]
    usable = [(path, endpoint.requests) for path, endpoint in found if path]
    if not usable:
        return []
    draw = random.Random(_SEED)  # noqa: S311 - a simulation
    paths, counts = zip(*usable, strict=True)
    chosen = draw.choices(paths, counts, k=min(size, _LONGEST_PAGE))
    return [(tuple(chosen), 1)]
