"""What the persons of a log requested: the input of a workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Endpoint", "LoggedPage", "LoggedTraffic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method and path.

    Attributes:
        method: Such as ``GET``; empty if the log has none.
        path: Without query; ids as ``{id}``, as in ``/orders/{id}``.
        example: One path as it was requested, without query.
        requests: How often it was requested.

    """

    method: str
    path: str
    example: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedPage:
    """Requests of one person within a second of each other.

    Attributes:
        requests: Places in `LoggedTraffic.endpoints`, in the order of the log; -1 for an endpoint
            that is not listed.
        count: Pages of this composition.

    """

    requests: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedTraffic:
    """The requests of a log.

    Attributes:
        endpoints: The most requested, most requested first; at most 200.
        other_requests: Requests of endpoints that are not listed.
        pages: The most frequent compositions of pages, in a sample of persons; at most 500.
        other_pages: Pages of the sample of other compositions.
        parallel: Requests per page, each with its pages.
        arrivals_per_second: Persons first seen, per second, without those of the first lifetime.
        requests_per_second: The mean over the log.
        seconds: The length of the log.
        source: The names of the files.

    """

    endpoints: Sequence[Endpoint]
    other_requests: int
    pages: Sequence[LoggedPage]
    other_pages: int
    parallel: Sequence[tuple[int, int]]
    arrivals_per_second: float
    requests_per_second: float
    seconds: float
    source: str
