"""When each person of a log requested pages: the input of the replay."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Histories"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """The pages of a random sample of persons, each with its instants in ascending order.

    Requests of one person within a second of each other are one page. Quiet requests are no pages.

    Attributes:
        pages: For each person of the sample the instants of its pages (``array("d")``), in seconds
            since the log began.
        seconds: The length of the log.
        persons: The persons of the log, of which `pages` holds a sample.

    """

    pages: Sequence[array[float]]
    seconds: float
    persons: int
