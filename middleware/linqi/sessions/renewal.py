"""When a session slides forward, and how far: pure decisions, without I/O.

A token is near expiry after ``exp - buffer`` (`RenewalSettings.due_at`), so no claim of its own has
to say when it is due. The policies differ only in the ``exp`` of the successor.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol

from linqi import _base64url
from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError
from linqi.jose.verified import Verified

__all__ = [
    "NOT_DUE",
    "NOT_OURS",
    "Decision",
    "Due",
    "Grid",
    "Jitter",
    "NotRenewed",
    "Policy",
    "RenewalSettings",
    "Threshold",
    "TokenSpan",
    "decide",
    "first_span",
    "share_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """The validity of one token: from ``iat`` to ``exp``, in Unix seconds."""

    issued_at: float
    expires_at: float


class Policy(Protocol):
    """Chooses the validity of the next token of a session."""

    def span(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return the validity of a token of `session` made at `now`."""
        ...


@dataclass(frozen=True, slots=True)
class Grid:
    """Phase-locked: a session is due at ``phase + k * (lifetime - buffer)`` and at no other time.

    The phase is a hash of the session id, so sessions that sign in together are due apart from
    the first cycle on, and stay apart after an outage. A life is never longer than ``lifetime``
    and never leaves less than ``buffer``. It depends only on the session and the grid point, so
    every worker computes the same one.
    """

    def span(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return the time from the last grid point to one buffer after the next."""
        period = settings.lifetime - settings.buffer
        phase = share_of(session) * period
        if settings.is_whole:
            phase = math.floor(phase)
        epoch = math.floor((now - phase) / period)
        if phase + period * (epoch + 1) <= now:  # the division rounded down past the point
            epoch += 1
        return TokenSpan(
            issued_at=min(now, phase + period * epoch),
            expires_at=phase + period * (epoch + 1) + settings.buffer,
        )


@dataclass(frozen=True, slots=True)
class Threshold:
    """Plain: a token is valid for the whole lifetime from the instant it is made.

    Sessions that sign in together stay together: every cycle repeats the storm.
    """

    def span(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return one whole lifetime that starts at `now`."""
        start = math.floor(now) if settings.is_whole else now
        return TokenSpan(issued_at=start, expires_at=start + settings.lifetime)


@dataclass(frozen=True, slots=True)
class Jitter:
    """Shortens each token's lifetime by up to ``width`` of ``lifetime - buffer``.

    The share is a hash of the session id and the instant, not random. ``width``: above 0 to 1.
    """

    RANGES: ClassVar[Ranges] = {"width": Range(0, 1, is_above=True)}

    width: float = 0.1

    def __post_init__(self) -> None:
        if faults := range_faults(self.RANGES, self):
            raise ConfigurationError(faults)

    def span(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return a lifetime that starts at `now`, shortened by this token's share."""
        whole = settings.is_whole
        longest_cut = self.width * (settings.lifetime - settings.buffer)
        cut = share_of(f"{session} {now}") * longest_cut
        start = math.floor(now) if whole else now
        end = start + settings.lifetime - (math.floor(cut) if whole else cut)
        return TokenSpan(issued_at=start, expires_at=end)


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
    """How long before ``exp`` a token is near expiry; under half the lifetime (R8)."""
    policy: Policy = field(default_factory=Grid)
    """Which instant a successor expires at."""
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

    def __post_init__(self) -> None:
        if faults := self._faults():
            raise ConfigurationError(faults)
        for name in ("lifetime", "buffer", "max_session"):
            value = getattr(self, name)
            if value % 1 == 0:  # 900.0 and 900 must give the same tokens
                object.__setattr__(self, name, int(value))

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

    @property
    def is_whole(self) -> bool:
        """Whether ``iat`` and ``exp`` are whole seconds."""
        return self.whole_seconds and self.lifetime % 1 == 0 and self.buffer % 1 == 0

    def due_at(self, expires_at: float) -> float:
        """Return the instant after which a token that expires at `expires_at` is near expiry.

        This is the one definition of near expiry: ``now > due_at(exp)``. At that instant itself the
        token is not near expiry yet.
        """
        return expires_at - self.buffer

    def refresh_in(self, expires_at: float, now: float) -> float:
        """Return the seconds from `now` until the token is near expiry; 0 if it is."""
        return max(0.0, self.due_at(expires_at) - now)

    def session_end(self, session: str, auth_time: float) -> float:
        """Return the absolute end of `session`, which began at `auth_time`, in Unix seconds."""
        longest = self.max_session * (1 - self.cap_spread * share_of(f"{session} end"))
        end = auth_time + max(longest, self.lifetime)
        return math.floor(end) if self.is_whole else end


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A successor may be made: its validity and its derived id."""

    span: TokenSpan
    token_id: str
    due_at: float
    """When the renewal became due; the reported lag is counted from here."""


@dataclass(frozen=True, slots=True)
class NotRenewed:
    """No successor is made, and why.

    ``bound``: the token is bound to a key (``cnf``, RFC 7800) whose proof was not checked here, so
    it is not renewed (R4).
    """

    reason: Literal["not_due", "not_ours", "no_session", "bound", "at_end", "expired"]
    session_end: float | None = None
    """The end of the session in Unix seconds, for ``at_end``."""


Decision = Due | NotRenewed
NOT_DUE: Final = NotRenewed("not_due")
NOT_OURS: Final = NotRenewed("not_ours")
_NO_SESSION: Final = NotRenewed("no_session")
_BOUND: Final = NotRenewed("bound")
_EXPIRED: Final = NotRenewed("expired")


def decide(verified: Verified, now: float, settings: RenewalSettings) -> Decision:
    """Decide whether a verified token gets a successor at `now`.

    At ``exp - now == buffer`` it is not near expiry yet. At ``now == exp`` it is expired, and an
    expired token is never renewed, whatever the leeway of its verification was (R2).

    Args:
        verified: The token.
        now: Unix seconds.
        settings: How sessions slide.

    """
    due_at = settings.due_at(verified.expires_at)
    if now <= due_at:
        return NOT_DUE
    if not verified.own:
        return NOT_OURS
    if now >= verified.expires_at:
        return _EXPIRED
    registered = verified.registered
    session, auth_time, end = registered.sid, registered.auth_time, registered.session_end
    if None in (session, auth_time, end, registered.jti):
        return _NO_SESSION
    # Both ends hold: the one fixed at login, and today's settings should they be stricter (R1).
    end = min(end, settings.session_end(session, auth_time))
    span = settings.policy.span(session, now, settings)
    issued_at = max(span.issued_at, verified.issued_at or 0)
    expires_at = min(span.expires_at, end)
    if expires_at <= verified.expires_at:
        return NotRenewed("at_end", end)
    if "cnf" in verified.claims:
        return _BOUND
    return Due(
        span=TokenSpan(issued_at=issued_at, expires_at=expires_at),
        token_id=_derive_id(session, registered.jti, expires_at),
        due_at=due_at,
    )


def first_span(session: str, now: float, settings: RenewalSettings) -> TokenSpan:
    """Return the validity of the first token of `session`, made at login."""
    span = settings.policy.span(session, now, settings)
    issued_at = math.floor(now) if settings.is_whole else now
    end = settings.session_end(session, issued_at)
    return TokenSpan(issued_at=issued_at, expires_at=min(span.expires_at, end))


def share_of(text: str) -> float:
    """Return a number in [0, 1), fixed for `text` and evenly distributed over texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _derive_id(session: str, token_id: str, expires_at: float) -> str:
    """Return the ``jti`` of a successor: a pure function, so that all workers derive the same."""
    digest = hashlib.sha256(f"{session}\n{token_id}\n{expires_at!r}".encode()).digest()
    return _base64url.encode(digest[:16]).decode()
