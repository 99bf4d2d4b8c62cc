"""The behaviour of clients under a workload: their pages, pauses and visits."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

from linqi_storm.schema.workload import PauseLengths, VisitPattern, Workload, WorkloadRequest

__all__ = ["LoggedPauses", "OpenedPage", "VisitModel", "WorkloadPages", "catalogue_of"]


class LoggedPauses:
    """Pauses of a workload, drawn independently of each other."""

    def __init__(self, lengths: PauseLengths, source: str = "") -> None:
        self.mean = lengths.mean
        self._source = source or "a workload"
        self._seconds = lengths.seconds
        self._weights = list(itertools.accumulate(lengths.counts)) or None

    def draw(self, rng: random.Random) -> float:
        """Return one pause, in seconds."""
        if not self._seconds:
            return rng.expovariate(1 / self.mean)
        if self._weights is None:
            return rng.choice(self._seconds)
        return rng.choices(self._seconds, cum_weights=self._weights)[0]

    def __str__(self) -> str:
        return f"of {self._source}, mean {self.mean:.3g} s"


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """A page that a client opens."""

    requests: tuple[int, ...]
    """Its requests with a token, as numbers of the catalogue."""
    public: tuple[int, ...] = ()
    """Its requests without a token."""
    think: LoggedPauses | None = None
    """Pauses after this page; None for those of the scenario."""

    @property
    def size(self) -> int:
        """The number of its parallel requests."""
        return len(self.requests) + len(self.public)


class WorkloadPages:
    """The pages of a workload, drawn by their weights."""

    def __init__(self, workload: Workload) -> None:
        # By their text, as a mapping of headers has no hash.
        numbers = {repr(request): n for n, request in enumerate(catalogue_of(workload))}
        self._pages = [
            OpenedPage(
                tuple(numbers[repr(each)] for each in page.requests if not each.public),
                tuple(numbers[repr(each)] for each in page.requests if each.public),
                None if page.think is None else LoggedPauses(page.think),
            )
            for page in workload.pages
        ]
        weights = [page.weight for page in workload.pages]
        self._weights = list(itertools.accumulate(weights))
        sizes = (len(page.requests) * page.weight for page in workload.pages)
        self.mean = sum(sizes) / self._weights[-1]

    def open_page(self, rng: random.Random) -> OpenedPage:
        """Return the next page of a client."""
        return rng.choices(self._pages, cum_weights=self._weights)[0]

    def draw(self, rng: random.Random) -> int:
        """Return the number of requests of one page."""
        return self.open_page(rng).size


class VisitModel:
    """Sessions that leave after a number of pages, and return after an absence."""

    def __init__(self, pattern: VisitPattern) -> None:
        self._pages = pattern.pages
        self._weights = list(itertools.accumulate(pattern.counts or [1.0] * len(pattern.pages)))
        self._absences = LoggedPauses(pattern.absences)
        self._left: dict[int, int] = {}

    def absence(self, index: int, rng: random.Random) -> float | None:
        """Count a page of session `index`; return the absence after it, None within a visit."""
        left = self._left.get(index) or self._visit(rng)
        self._left[index] = left - 1
        return self._absences.draw(rng) if left == 1 else None

    def _visit(self, rng: random.Random) -> int:
        return rng.choices(self._pages, cum_weights=self._weights)[0]


def catalogue_of(workload: Workload) -> tuple[WorkloadRequest, ...]:
    """Return the distinct requests of `workload`; those with a token come first."""
    distinct = {repr(request): request for page in workload.pages for request in page.requests}
    return tuple(sorted(distinct.values(), key=lambda request: request.public))
