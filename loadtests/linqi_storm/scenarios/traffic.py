"""The laws by which clients behave: pauses between pages, and requests per page."""

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
    "Pages",
    "PauseModel",
    "Single",
    "parse_gaps",
    "parse_pages",
]

_MOST_PARALLEL: Final = 100


class PauseModel(Protocol):
    """Draws the pauses of a client, in seconds."""

    @property
    def mean(self) -> float:
        """The mean pause."""
        ...

    def draw(self, rng: random.Random) -> float:
        """Give one pause."""
        ...


@dataclass(frozen=True, slots=True)
class Exponential:
    """Pauses of a Poisson process: the mildest law, which real people do not follow."""

    mean: float

    def draw(self, rng: random.Random) -> float:
        """Give one pause."""
        return rng.expovariate(1 / self.mean)

    def __str__(self) -> str:
        return f"exponential, mean {self.mean:g} s"


@dataclass(frozen=True, slots=True)
class ClicksAndReads:
    """People who click through pages, read some, and now and then go away for long.

    Of 100 pauses 70 are clicks (exponential), 25 reads (log-normal, heavy to the right) and 5
    absences (Pareto with the exponent 1.5, so that the mean is finite and the variance not). The
    shares are a judgement, not a fit to a log; `mean` scales all three.
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
        """Give one pause."""
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
    """Pauses as they were measured, scaled to a mean.

    `path` is a JSON file with ``gaps_seconds`` and ``gap_counts``, how often each was seen; it may
    have ``parallel`` and ``parallel_counts`` too (`MeasuredPages`).
    """

    def __init__(self, path: Path, mean: float) -> None:
        told = _read_measured(path)
        weight = sum(told.gap_counts)
        real = sum(map(operator.mul, told.gaps_seconds, told.gap_counts)) / weight
        self.mean = mean
        self._path = path
        self._values = [gap * mean / real for gap in told.gaps_seconds]
        self._weights = list(itertools.accumulate(told.gap_counts))

    def draw(self, rng: random.Random) -> float:
        """Give one pause."""
        return float(rng.choices(self._values, cum_weights=self._weights)[0])

    def __str__(self) -> str:
        return f"measured ({self._path.name}), mean {self.mean:g} s"


class _MeasuredFile(msgspec.Struct):
    gaps_seconds: list[float]
    gap_counts: list[float]
    parallel: list[int] = []
    parallel_counts: list[float] = []


def _read_measured(path: Path) -> _MeasuredFile:
    """Read a file of measured people; `ConfigurationError` where it is none."""
    try:
        told = msgspec.json.decode(path.read_bytes(), type=_MeasuredFile)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError([f"{path} holds no measured gaps: {error}"]) from error
    lengths = [len(told.gaps_seconds), len(told.parallel)]
    if lengths != [len(told.gap_counts), len(told.parallel_counts)]:
        raise ConfigurationError([f"{path}: every value needs its count"])
    if not sum(told.gap_counts) > 0 or min([*told.gap_counts, *told.parallel_counts]) < 0:
        raise ConfigurationError([f"{path}: counts are not below 0, and some gap was seen"])
    return told


def parse_gaps(law: str, mean: float) -> PauseModel:
    """Give a law with a mean in seconds: ``exponential``, ``reading`` or ``measured:PATH``.

    `ConfigurationError` for another, and for a file that holds none.
    """
    if law == "exponential":
        return Exponential(mean)
    if law == "reading":
        return ClicksAndReads(mean)
    kind, _, path = law.partition(":")
    if kind == "measured" and path:
        return Measured(Path(path), mean)
    raise ConfigurationError(
        [f"the law of gaps is {law!r}, expected exponential, reading or measured:PATH"]
    )


@dataclass(frozen=True, slots=True)
class Single:
    """One request a page."""

    mean: float = 1.0

    def draw(self, rng: random.Random) -> int:
        """Give the requests of one page."""
        return 1


@dataclass(frozen=True, slots=True)
class Pages:
    """Browsers: 1 to 20 parallel requests a page, most pages with one, few with many."""

    mean: float = 0.8 + 0.16 * 4 + 0.04 * 13.5

    def draw(self, rng: random.Random) -> int:
        """Give the requests of one page."""
        kind = rng.random()
        if kind < 0.8:
            return 1
        return rng.randint(2, 6) if kind < 0.96 else rng.randint(7, 20)


class MeasuredPages:
    """Requests per page as they were measured, at most 100."""

    def __init__(self, sizes: Sequence[int], counts: Sequence[float]) -> None:
        self._sizes = [min(size, _MOST_PARALLEL) for size in sizes]
        self._weights = list(itertools.accumulate(counts))
        self.mean = sum(map(operator.mul, self._sizes, counts)) / self._weights[-1]

    def draw(self, rng: random.Random) -> int:
        """Give the requests of one page."""
        return int(rng.choices(self._sizes, cum_weights=self._weights)[0])


def parse_pages(law: str, *, has_pages: bool) -> Pages | Single | MeasuredPages:
    """Give the requests per page that go with a law of gaps: measured ones where it has some."""
    kind, _, path = law.partition(":")
    if kind == "measured" and has_pages:
        told = _read_measured(Path(path))
        if sum(told.parallel_counts) > 0:
            return MeasuredPages(told.parallel, told.parallel_counts)
    return Pages() if has_pages else Single()
