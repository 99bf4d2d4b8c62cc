"""The settings of renewal, and the policies: when tokens end and when they are due.

A token is near expiry after `RenewalSettings.due_at`, a pure function of its ``sid``, ``iat`` and
``exp``: no claim of its own has to say when it is due. The verifier computes it once per token.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = [
    "Grid",
    "Jitter",
    "Policy",
    "RenewalSettings",
    "Threshold",
    "TokenSpan",
    "first_span",
    "share_of",
]


_sha256 = hashlib.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """The validity of one token: from ``iat`` to ``exp``, in Unix seconds."""

    issued_at: float
    expires_at: float


class Policy(Protocol):
    """Chooses when the tokens of a session end, and when they are due."""

    def first(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return the validity of the first token of the sliding session `session`."""
        ...

    def successor(
        self, session: str, now: float, expires_at: float, settings: RenewalSettings
    ) -> TokenSpan:
        """Return the validity of the successor, made at `now`, of a token that is due.

        Args:
            session: The ``sid``.
            now: Unix seconds.
            expires_at: The ``exp`` of the token that is replaced.
            settings: How sessions slide.

        """
        ...

    def access(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return the validity of an access token of dual tokens, whose clients judge by ``exp``.

        It must be due at ``exp - buffer``.
        """
        ...

    def due_after(self, session: str, instant: float, settings: RenewalSettings) -> float:
        """Return the first instant after `instant` at which the session is due.

        Infinite where only ``exp`` decides: every token is due at ``exp - buffer`` at the latest.
        """
        ...


@dataclass(frozen=True, slots=True)
class Grid:
    """Phase-locked: a session is due at ``phase + k * (lifetime - buffer)`` and at no other time.

    The phase is a hash of the session id, so sessions that sign in together are due apart from
    the first cycle on, and stay apart after an outage. The first token lives the whole lifetime
    and is due at its first grid point. A successor made in the period that began at grid point g
    expires at ``g + lifetime``. No life is longer than ``lifetime`` and no window is shorter than
    ``buffer``. A successor depends only on the session and the grid point, so every worker
    computes the same one.
    """

    def first(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return one whole lifetime that starts at `now`."""
        return _whole_life(now, settings)

    def successor(
        self, session: str, now: float, expires_at: float, settings: RenewalSettings
    ) -> TokenSpan:
        """Return the lifetime that starts at the last grid point."""
        return self.access(session, now, settings)

    def access(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return the time from the last grid point to one buffer after the next.

        With a whole lifetime from `now`, clients that judge by ``exp`` would refresh together.
        """
        last, following = _grid_points(session, now, settings)
        return TokenSpan(issued_at=min(now, last), expires_at=following + settings.buffer)

    def due_after(self, session: str, instant: float, settings: RenewalSettings) -> float:
        """Return the next grid point."""
        return _grid_points(session, instant, settings)[1]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Plain: a token is valid for the whole lifetime from the instant it is made.

    Sessions that sign in together stay together: every cycle repeats the storm. Two workers that
    renew one token in different seconds make two successors, both valid; only the memo of one
    worker prevents it.
    """

    def first(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return one whole lifetime that starts at `now`."""
        return _whole_life(now, settings)

    def successor(
        self, session: str, now: float, expires_at: float, settings: RenewalSettings
    ) -> TokenSpan:
        """Return one whole lifetime that starts at `now`."""
        return _whole_life(now, settings)

    def access(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return one whole lifetime that starts at `now`."""
        return _whole_life(now, settings)

    def due_after(self, session: str, instant: float, settings: RenewalSettings) -> float:
        """Return infinity: a token is due at ``exp - buffer``."""
        return math.inf


@dataclass(frozen=True, slots=True)
class Jitter:
    """Shortens each token's lifetime by up to ``width`` of ``lifetime - buffer``.

    The share is a hash of the session and of the token that is replaced, not random, and the
    successor's life starts when that token was due: every worker computes the same one. ``width``:
    above 0 to 1.
    """

    RANGES: ClassVar[Ranges] = {"width": Range(0, 1, is_above=True)}

    width: float = 0.1

    def __post_init__(self) -> None:
        if faults := range_faults(self.RANGES, self):
            raise ConfigurationError(faults)

    def first(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return a lifetime that starts at `now`, shortened by the session's share."""
        return self._cut(session, now, settings)

    def successor(
        self, session: str, now: float, expires_at: float, settings: RenewalSettings
    ) -> TokenSpan:
        """Return a lifetime that starts when the token was due, shortened by its share."""
        return self._cut(f"{session} {expires_at}", expires_at - settings.buffer, settings)

    def access(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return a lifetime that starts at `now`, shortened by the share of session and instant."""
        return self._cut(f"{session} {now}", now, settings)

    def due_after(self, session: str, instant: float, settings: RenewalSettings) -> float:
        """Return infinity: a token is due at ``exp - buffer``."""
        return math.inf

    def _cut(self, text: str, start: float, settings: RenewalSettings) -> TokenSpan:
        whole = _whole_life(start, settings)
        cut = share_of(text) * self.width * (settings.lifetime - settings.buffer)
        return TokenSpan(
            issued_at=whole.issued_at,
            expires_at=whole.expires_at - (math.floor(cut) if settings.is_whole else cut),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalSettings:
    """How sessions slide; all durations in seconds."""

    RANGES: ClassVar[Ranges] = {
        "lifetime": Range(1, DAY, "seconds"),
        "buffer": Range(0, DAY / 2, "seconds", is_above=True),
        "max_session": Range(1, 366 * DAY, "seconds"),
        "cap_spread": Range(0, 0.5),
        "hard_margin": Range(0, DAY / 2, "seconds"),
    }

    lifetime: float = 900
    """The longest life of one access token: 15 minutes, the short end of common practice."""
    buffer: float = 300
    """The least time before ``exp`` in which a token is near expiry, so in which a request renews
    it; under half the lifetime (R8)."""
    policy: Policy = field(default_factory=Grid)
    """Which instant a token expires at, and when it is due."""
    max_session: float = 8 * 3600
    """The longest life of a session, whatever its activity: a working day (R1)."""
    cap_spread: float = 0.1
    """The share of `max_session` by which sessions may end earlier, each by its own hash: a fixed
    cap would end all sessions of a morning in one second. 0 to 0.5."""
    hard_margin: float | None = None
    """A renewal is never deferred when a token has less time left than this, in seconds; 0 to below
    the buffer. None is 10 s, or a quarter of the buffer if that is less."""
    whole_seconds: bool = True
    """Whether ``iat`` and ``exp`` are whole numbers, which every library reads. Turn it off when
    lifetimes are compressed for a load test: rounding would bundle renewals."""
    is_whole: bool = field(init=False, repr=False, compare=False)
    """Whether ``iat`` and ``exp`` are whole seconds."""

    def __post_init__(self) -> None:
        if faults := self._faults():
            raise ConfigurationError(faults)
        for name in ("lifetime", "buffer", "max_session"):
            value = getattr(self, name)
            if value % 1 == 0:  # 900.0 and 900 must give the same tokens
                object.__setattr__(self, name, int(value))
        is_whole = self.whole_seconds and self.lifetime % 1 == 0 and self.buffer % 1 == 0
        object.__setattr__(self, "is_whole", is_whole)

    def _faults(self) -> list[str]:
        values = {name: getattr(self, name) for name in self.RANGES}
        if self.hard_margin is None:
            del values["hard_margin"]
        faults = range_faults(self.RANGES, values)
        if not all(isinstance(value, int | float) for value in values.values()):
            return faults  # what is no number cannot be compared
        if not self.buffer < self.lifetime / 2:
            faults.append(
                f"buffer is {self.buffer:g} s, expected above 0 and under half the lifetime"
                f" ({self.lifetime / 2:g} s)"
            )
        if self.hard_margin is not None and not self.hard_margin < self.buffer:
            faults.append(f"hard_margin is {self.hard_margin:g} s, expected 0 to below the buffer")
        if not self.lifetime <= self.max_session:
            faults.append(
                f"max_session is {self.max_session:g} s, expected the lifetime to 366 days"
            )
        return faults

    @property
    def margin(self) -> float:
        """The hard margin in force, in seconds."""
        return min(10.0, self.buffer / 4) if self.hard_margin is None else self.hard_margin

    def due_at(self, session: str | None, issued_at: float | None, expires_at: float) -> float:
        """Return the instant after which a token is near expiry, in Unix seconds.

        This is the one definition of near expiry: ``now > due_at``. At that instant itself the
        token is not near expiry yet. It is at the latest ``exp - buffer``; on the grid the first
        token of a session is due earlier, at its first grid point.

        Args:
            session: ``sid``; without it the token is due at ``exp - buffer``.
            issued_at: ``iat``; the same.
            expires_at: ``exp``.

        """
        latest = expires_at - self.buffer
        if session is None or issued_at is None:
            return latest
        # A token of a longer lifetime, made before the settings changed, counts from where a whole
        # lifetime is left: a successor made earlier would not live longer than the token.
        start = expires_at - self.lifetime
        due = self.policy.due_after(session, start if start > issued_at else issued_at, self)
        return due if due < latest else latest

    def refresh_in(
        self, session: str | None, issued_at: float | None, expires_at: float, now: float
    ) -> float:
        """Return the seconds from `now` until the token is near expiry; 0 if it is."""
        return max(0.0, self.due_at(session, issued_at, expires_at) - now)

    def session_end(self, session: str, auth_time: float) -> float:
        """Return the absolute end of `session`, which began at `auth_time`, in Unix seconds."""
        longest = self.max_session * (1 - self.cap_spread * share_of(f"{session} end"))
        end = auth_time + max(longest, self.lifetime)
        return math.floor(end) if self.is_whole else end


def first_span(session: str, now: float, settings: RenewalSettings) -> TokenSpan:
    """Return the validity of the first token of the sliding session `session`, made at login."""
    span = settings.policy.first(session, now, settings)
    end = settings.session_end(session, span.issued_at)
    return TokenSpan(issued_at=span.issued_at, expires_at=min(span.expires_at, end))


def share_of(text: str) -> float:
    """Return a number in [0, 1), fixed for `text` and evenly distributed over texts."""
    return int.from_bytes(_sha256(text.encode()).digest()[:6], "big") / 2**48


def _whole_life(start: float, settings: RenewalSettings) -> TokenSpan:
    """Return one whole lifetime from `start`, or from its second where seconds are whole."""
    first = math.floor(start) if settings.is_whole else start
    return TokenSpan(issued_at=first, expires_at=first + settings.lifetime)


def _grid_points(session: str, instant: float, settings: RenewalSettings) -> tuple[float, float]:
    """Return the session's last grid point at or before `instant`, and the next after it."""
    period = settings.lifetime - settings.buffer
    phase = share_of(session) * period
    if settings.is_whole:
        phase = int(phase)
    epoch = int((instant - phase) // period)
    following = phase + period * (epoch + 1)
    if following <= instant:  # a difference of fractions was rounded down past the point
        epoch, following = epoch + 1, phase + period * (epoch + 2)
    return phase + period * epoch, following
