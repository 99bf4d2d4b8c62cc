"""The stages of a load: how many sessions are active, ramped from one number to the next."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linqi import ConfigurationError

__all__ = [
    "Stage",
    "joins_at",
    "leaves_at",
    "most_active",
    "parse_stage",
    "sessions_of",
    "stages_text",
]

_STAGE: Final = re.compile(r"(?P<parts>(?:\d+(?:\.\d+)?(?:h|ms|m|s))+):(?P<sessions>\d+)")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run, at whose end so many sessions are active."""

    seconds: float
    """Of the run; 0 for a jump."""
    sessions: int


def parse_stage(text: str) -> Stage:
    """Return the stage that ``2m:500``, ``1m30s:500`` or ``0s:500`` describes.

    Raises:
        ConfigurationError: If `text` is not a duration with units, a colon and a whole number.

    """
    found = _STAGE.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            [f"--stage is {text!r}, expected DURATION:SESSIONS, such as 2m:500 or 1m30s:0"]
        )
    parts = _PART.findall(found["parts"])
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return Stage(seconds=seconds, sessions=int(found["sessions"]))


def stages_text(stages: Sequence[Stage]) -> str:
    """Return the stages in words; empty without any."""
    return ", ".join(f"{stage.seconds:g} s to {stage.sessions}" for stage in stages)


def sessions_of(stages: Sequence[Stage]) -> int:
    """Return how many sessions sign in: the sum of all rises."""
    return sum(max(0, rise) for _, _, rise in _ramps(stages))


def most_active(stages: Sequence[Stage]) -> int:
    """Return the most sessions that are active at one time."""
    return max(stage.sessions for stage in stages)


def joins_at(stages: Sequence[Stage], index: int) -> float:
    """Return the second at which session `index` signs in."""
    return _instant(stages, index, 1)


def leaves_at(stages: Sequence[Stage], index: int) -> float:
    """Return the second at which session `index` sends its last request; infinite for never.

    The session that signed in first leaves first.
    """
    return _instant(stages, index, -1)


def _instant(stages: Sequence[Stage], index: int, sign: int) -> float:
    """Return when the `index`-th session joins (`sign` 1) or leaves (-1)."""
    passed = 0
    for begins, seconds, rise in _ramps(stages):
        changed = max(0, sign * rise)
        if index < passed + changed:
            return begins + seconds * (index - passed) / changed
        passed += changed
    return math.inf


def _ramps(stages: Sequence[Stage]) -> list[tuple[float, float, int]]:
    """Return the begin, the duration and the rise of each stage."""
    ramps, begins, active = [], 0.0, 0
    for stage in stages:
        ramps.append((begins, stage.seconds, stage.sessions - active))
        begins, active = begins + stage.seconds, stage.sessions
    return ramps
