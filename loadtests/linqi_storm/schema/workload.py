"""The traffic of real users as a file: ``workload.json``.

Every duration is in seconds of the real system. `docs/reference/workload.md` is its reference.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from linqi import ConfigurationError

__all__ = [
    "PageKind",
    "PauseLengths",
    "VisitPattern",
    "Workload",
    "WorkloadRequest",
    "read_workload",
    "write_workload",
]

VERSION: Final = 1
_PATH: Final = re.compile(r"/[!-~]*")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~]*")
_FIXED_HEADERS: Final = frozenset(
    ("authorization", "connection", "content-length", "content-type", "host", "transfer-encoding")
)
_MOST_PARALLEL: Final = 100


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file: a member with another name is an error, not ignored."""


class PauseLengths(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A distribution of pauses: a histogram, a sample, or exponential with a mean."""

    seconds: tuple[float, ...] = ()
    """Lengths of pauses."""
    counts: tuple[float, ...] = ()
    """How often each of `seconds` was seen; empty for a sample, in which each counts once."""
    mean_seconds: float | None = None
    """The mean of an exponential distribution, instead of `seconds`."""

    def __post_init__(self) -> None:
        if (self.mean_seconds is None) == (not self.seconds):
            raise ValueError("expected either seconds or mean_seconds")
        if self.counts and len(self.counts) != len(self.seconds):
            raise ValueError(
                f"{len(self.seconds)} seconds and {len(self.counts)} counts,"
                " expected one count per length"
            )
        lengths = (*self.seconds, *(() if self.mean_seconds is None else (self.mean_seconds,)))
        if not all(math.isfinite(length) and length >= 0 for length in (*lengths, *self.counts)):
            raise ValueError("expected finite numbers of at least 0")
        if not self.mean > 0:
            raise ValueError("expected a mean above 0 s")

    @property
    def mean(self) -> float:
        """The mean pause, in seconds."""
        if self.mean_seconds is not None:
            return self.mean_seconds
        counts = self.counts or (1.0,) * len(self.seconds)
        total = math.fsum(counts)
        return math.fsum(map(operator.mul, self.seconds, counts)) / total if total else 0.0

    def scaled(self, factor: float) -> PauseLengths:
        """Return the same distribution with every pause `factor` times as long."""
        mean = None if self.mean_seconds is None else self.mean_seconds * factor
        seconds = tuple(length * factor for length in self.seconds)
        return msgspec.structs.replace(self, seconds=seconds, mean_seconds=mean)


class WorkloadRequest(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """One request of a page."""

    path: str
    """With the query, percent-encoded."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Mapping[str, str] = {}
    """Added to the request; the token, the host and the length are set by the storm."""
    body: str = ""
    content_type: str = "application/json"
    """Of `body`; not sent without one."""
    public: bool = False
    """Whether the request is sent without a token."""

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError(f"the path is {self.path!r}, expected one that begins with /")
        for name, value in {**self.headers, "content-type": self.content_type}.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"the header {name!r} is not one of HTTP")
        if fixed := _FIXED_HEADERS.intersection(name.lower() for name in self.headers):
            raise ValueError(f"the storm sets {', '.join(sorted(fixed))} itself")

    @property
    def kind(self) -> tuple[str, str]:
        """The method and the path without its query, by which statistics are kept."""
        return self.method, self.path.partition("?")[0]


class PageKind(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """A page: requests that are sent together."""

    requests: tuple[WorkloadRequest, ...]
    """1 to 100."""
    weight: float = 1.0
    """How often this page is opened, relative to the others."""
    think: PauseLengths | None = None
    """Pauses after this page; by default those of the workload."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.requests) <= _MOST_PARALLEL:
            raise ValueError(f"a page has {len(self.requests)} requests, expected 1 to 100")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"the weight of a page is {self.weight:g}, expected above 0")


class VisitPattern(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """Users who leave and return: how many pages a visit has, and how long absences are."""

    pages: tuple[int, ...]
    """Numbers of pages of a visit, each at least 1."""
    absences: PauseLengths
    """From the last page of a visit to the first page of the next."""
    counts: tuple[float, ...] = ()
    """How often each of `pages` was seen; empty if each counts once."""

    def __post_init__(self) -> None:
        if not self.pages or min(self.pages) < 1:
            raise ValueError("expected visits of at least 1 page")
        if self.counts and (len(self.counts) != len(self.pages) or not sum(self.counts) > 0):
            raise ValueError("expected one count per number of pages, and some above 0")


class Workload(_Part, frozen=True, kw_only=True, omit_defaults=True):
    """The traffic of a service."""

    version: Literal[1]
    """Of the format of the file: 1."""
    pages: tuple[PageKind, ...]
    pauses: PauseLengths
    """From one page of a session to the next, within a visit."""
    visits: VisitPattern | None = None
    """None for sessions that never leave."""
    login_spread_seconds: float | None = None
    """Time within which all sessions sign in; None for that of the scenario."""
    source: str = ""
    """Where the traffic was measured."""

    def __post_init__(self) -> None:
        if not self.pages:
            raise ValueError("expected at least one page")
        if self.login_spread_seconds is not None and not self.login_spread_seconds >= 0:
            raise ValueError("login_spread_seconds is below 0")

    def scaled(self, factor: float) -> Workload:
        """Return the same traffic with every duration `factor` times as long."""
        if factor == 1:
            return self
        pages = [
            page
            if page.think is None
            else msgspec.structs.replace(page, think=page.think.scaled(factor))
            for page in self.pages
        ]
        visits, spread = self.visits, self.login_spread_seconds
        if visits is not None:
            visits = msgspec.structs.replace(visits, absences=visits.absences.scaled(factor))
        return msgspec.structs.replace(
            self,
            pages=tuple(pages),
            pauses=self.pauses.scaled(factor),
            visits=visits,
            login_spread_seconds=None if spread is None else spread * factor,
        )

    def with_login_spread(self, seconds: float | None) -> Workload:
        """Return the same traffic with sign-ins spread over `seconds`."""
        return msgspec.structs.replace(self, login_spread_seconds=seconds)

    def on_path(self, path: str) -> Workload:
        """Return the same pages with every request as ``GET path``."""
        request = WorkloadRequest(path=path)
        pages = tuple(
            msgspec.structs.replace(page, requests=(request,) * len(page.requests))
            for page in self.pages
        )
        return msgspec.structs.replace(self, pages=pages)

    def with_public(self, kinds: Collection[tuple[str, str]]) -> Workload:
        """Return the same traffic, in which requests of these kinds are sent without a token."""
        pages = tuple(
            msgspec.structs.replace(
                page,
                requests=tuple(
                    msgspec.structs.replace(each, public=each.public or each.kind in kinds)
                    for each in page.requests
                ),
            )
            for page in self.pages
        )
        return msgspec.structs.replace(self, pages=pages)


def read_workload(path: Path) -> Workload:
    """Return the workload in the JSON file `path`.

    Raises:
        ConfigurationError: If the file is missing, or its content is no workload of version 1.

    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Workload)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError([f"{path} holds no workload: {error}"]) from error


def write_workload(workload: Workload, path: Path) -> None:
    """Write `workload` to the JSON file `path`."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(workload), indent=1) + b"\n")
