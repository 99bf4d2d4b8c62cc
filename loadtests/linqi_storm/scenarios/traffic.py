"""Distributions of the clients' behaviour: pauses between pages, requests per page."""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from linqi import ConfigurationError

__all__ = [
    "ClicksAndReads",
    "Exponential",
    "Measured",
    "MeasuredPages",
    "PageSizes",
    "Pages",
    "PauseModel",
    "Single",
    "measured_mean",
    "parse_gaps",
    "parse_pages",
]

_MOST_PARALLEL: Final = 100


class PauseModel(Protocol):
    """A distribution of the pauses between pages, in seconds."""

    @property
    def mean(self) -> float:
        """The mean pause."""
        ...

    def draw(self, rng: random.Random) -> float:
        """Return one pause, in seconds."""
        ...


class PageSizes(Protocol):
    """A distribution of the requests per page."""

    @property
    def mean(self) -> float:
        """The mean number of requests."""
        ...

    def draw(self, rng: random.Random) -> int:
        """Return the number of requests of one page."""
        ...


@dataclass(frozen=True, slots=True)
class Exponential:
    """Pauses of a Poisson process: without the long pauses of real users."""

    mean: float

    def draw(self, rng: random.Random) -> float:
        """Return one pause, in seconds."""
        return rng.expovariate(1 / self.mean)

    def __str__(self) -> str:
        return f"exponential, mean {self.mean:g} s"


@dataclass(frozen=True, slots=True)
class ClicksAndReads:
    """Users who click through pages, read some, and sometimes leave for long.

    Of 100 pauses 70 are clicks (exponential), 25 reads (log-normal, heavy to the right) and 5
    absences (Pareto with the exponent 1.5, which has a finite mean and an infinite variance).
    The shares are assumptions, not fitted to a log. `mean` scales all three.
    """

    mean: float

    _CLICK: Final = 5.0
    _READ_MEDIAN, _READ_SIGMA = 45.0, 1.0
    _AWAY_LEAST, _AWAY_EXPONENT = 200.0, 1.5

    @property
    def _scale(self) -> float:
        read = self._READ_MEDIAN * math.exp(self._READ_SIGMA**2 / 2)
        away = self._AWAY_LEAST * self._AWAY_EXPONENT / (self._AWAY_EXPONENT - 1)
        return self.mean / (0.7 * self._CLICK + 0.25 * read + 0.05 * away)

    def draw(self, rng: random.Random) -> float:
        """Return one pause, in seconds."""
        kind = rng.random()
        if kind < 0.7:
            pause = rng.expovariate(1 / self._CLICK)
        elif kind < 0.95:
            pause = rng.lognormvariate(math.log(self._READ_MEDIAN), self._READ_SIGMA)
        else:
            pause = self._AWAY_LEAST * rng.paretovariate(self._AWAY_EXPONENT)
        return pause * self._scale

    def __str__(self) -> str:
        return f"clicks, reads and absences (heavy tail), mean {self.mean:g} s"


class Measured:
    """Measured pauses, scaled to a mean.

    Args:
        path: A JSON file with ``gaps_seconds`` and ``gap_counts``, the number of times that each
            was measured; it may have ``parallel`` and ``parallel_counts`` too (`MeasuredPages`).
        mean: The mean pause to scale to, in seconds.

    Raises:
        ConfigurationError: If the file is missing or has other content.

    """

    def __init__(self, path: Path, mean: float) -> None:
        measured = _read_measured(path)
        real = _mean_of(measured)
        self.mean = mean
        self._path = path
        self._values = [gap * mean / real for gap in measured.gaps_seconds]
        self._weights = list(itertools.accumulate(measured.gap_counts))

    def draw(self, rng: random.Random) -> float:
        """Return one pause, in seconds."""
        return float(rng.choices(self._values, cum_weights=self._weights)[0])

    def __str__(self) -> str:
        return f"measured ({self._path.name}), mean {self.mean:g} s"


class _MeasuredFile(msgspec.Struct):
    gaps_seconds: list[float]
    gap_counts: list[float]
    parallel: list[int] = []
    parallel_counts: list[float] = []


def _read_measured(path: Path) -> _MeasuredFile:
    """Return measured pauses and page sizes; raise `ConfigurationError` if the file has none."""
    try:
        measured = msgspec.json.decode(path.read_bytes(), type=_MeasuredFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError([f"{path} does not hold measured pauses: {error}"]) from error
    lengths = [len(measured.gaps_seconds), len(measured.parallel)]
    if lengths != [len(measured.gap_counts), len(measured.parallel_counts)]:
        raise ConfigurationError(
            [f"{path}: values and counts differ in number, expected one count per value"]
        )
    if (
        not sum(measured.gap_counts) > 0
        or min([*measured.gap_counts, *measured.parallel_counts]) < 0
    ):
        raise ConfigurationError(
            [f"{path}: expected no count below 0, and some count of pauses above 0"]
        )
    return measured


def measured_mean(law: str) -> float | None:
    """Return the mean pause in seconds in the file of ``measured:PATH``; None for another law.

    Raises:
        ConfigurationError: If the file holds no pauses.

    """
    kind, _, path = law.partition(":")
    return _mean_of(_read_measured(Path(path))) if kind == "measured" and path else None


def _mean_of(measured: _MeasuredFile) -> float:
    products = map(operator.mul, measured.gaps_seconds, measured.gap_counts)
    return float(sum(products) / sum(measured.gap_counts))


def parse_gaps(law: str, mean: float) -> PauseModel:
    """Return the distribution of pauses that `law` names, with a mean in seconds.

    Args:
        law: ``exponential``, ``reading`` or ``measured:PATH``.
        mean: The mean pause, in seconds.

    Raises:
        ConfigurationError: If `law` names none, or the file holds none.

    """
    if law == "exponential":
        return Exponential(mean)
    if law == "reading":
        return ClicksAndReads(mean)
    kind, _, path = law.partition(":")
    if kind == "measured" and path:
        return Measured(Path(path), mean)
    raise ConfigurationError(
        [f"the distribution of gaps is {law!r}, expected exponential, reading or measured:PATH"]
    )


@dataclass(frozen=True, slots=True)
class Single:
    """One request per page."""

    mean: float = 1.0

    def draw(self, rng: random.Random) -> int:
        """Return the number of requests of one page."""
        return 1


@dataclass(frozen=True, slots=True)
class Pages:
    """Browsers: 1 to 20 parallel requests per page, most pages with one, few with many."""

    mean: float = 0.8 + 0.16 * 4 + 0.04 * 13.5

    def draw(self, rng: random.Random) -> int:
        """Return the number of requests of one page."""
        kind = rng.random()
        if kind < 0.8:
            return 1
        return rng.randint(2, 6) if kind < 0.96 else rng.randint(7, 20)


class MeasuredPages:
    """Measured requests per page, at most 100."""

    def __init__(self, sizes: Sequence[int], counts: Sequence[float]) -> None:
        self._sizes = [min(size, _MOST_PARALLEL) for size in sizes]
        self._weights = list(itertools.accumulate(counts))
        self.mean = sum(map(operator.mul, self._sizes, counts)) / self._weights[-1]

    def draw(self, rng: random.Random) -> int:
        """Return the number of requests of one page."""
        return int(rng.choices(self._sizes, cum_weights=self._weights)[0])


def parse_pages(law: str, *, has_pages: bool) -> PageSizes:
    """Return the requests per page that belong to `law`: measured ones if its file has some."""
    kind, _, path = law.partition(":")
    if kind == "measured" and has_pages:
        measured = _read_measured(Path(path))
        if sum(measured.parallel_counts) > 0:
            return MeasuredPages(measured.parallel, measured.parallel_counts)
    return Pages() if has_pages else Single()
