"""Every request of a generator by kind and path, for Locust's own statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from linqi_storm.clients.wire_responses import WireResponse

__all__ = ["Reporter", "RequestStatistics", "UnexpectedStatusError"]

Reporter: TypeAlias = Callable[[str, str, float, int, Exception | None], None]
"""Receives a request: its kind, its path, milliseconds, bytes of the body, and its fault."""


class UnexpectedStatusError(Exception):
    """A response whose status makes its request a failure in Locust's statistics."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")


class RequestStatistics:
    """Reports requests as Locust shows them: one row per kind and path.

    The kind is the method of a page, ``RENEW`` if the response carried a successor, else
    ``QUIET``, ``REFRESH``, ``LOGIN``, ``LOGOUT`` or ``HOSTILE``. An honest request fails without
    a response, or with a status of 400 or more; a hostile one fails if it is accepted.

    Args:
        report: Receives the requests.

    """

    def __init__(self, report: Reporter) -> None:
        self._report = report

    def count(
        self,
        kind: str,
        path: str,
        seconds: float,
        response: WireResponse | None,
        fault: Exception | None = None,
    ) -> None:
        """Report an honest request, with the seconds since it was due."""
        if response is not None and response.status >= 400:
            fault = UnexpectedStatusError(response.status)
        size = 0 if response is None else len(response.body)
        self._report(kind, path, seconds * 1000, size, fault)

    def count_hostile(self, path: str, seconds: float, status: int) -> None:
        """Report a request that must be refused; `status` is 0 if no response arrived."""
        is_wrong = status == 0 or 200 <= status < 300
        fault = UnexpectedStatusError(status) if is_wrong else None
        self._report("HOSTILE", path, seconds * 1000, 0, fault)
