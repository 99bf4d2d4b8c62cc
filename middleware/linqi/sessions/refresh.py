"""What presenting a refresh token leads to: decisions without I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from linqi.errors import ConfigurationError
from linqi.sessions.record import Outcome, SessionRecord
from linqi.sessions.renewal import share_of

__all__ = ["SessionSettings", "judge", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How long sessions last and how their refresh tokens rotate; durations in seconds."""

    idle: float = 7 * 86_400
    """How long a refresh token lives unused; a rotation starts it anew. 60 s to 366 days."""
    absolute: float = 30 * 86_400
    """The longest life of a session, which no rotation extends (RFC 9700, NIST SP 800-63B AAL1);
    `idle` to 732 days."""
    cap_spread: float = 0.1
    """The share of `absolute` by which sessions may end earlier, each by its own hash. 0 to 0.5."""
    grace: float = 10
    """How long after a rotation the token before it gets the same successor again: parallel tabs,
    re-sent requests. Using it does not extend it. 0 to 60 s."""
    after_grace: Literal["recover", "strict"] = "recover"
    """What the token before the current one leads to later, when the current one was never
    presented. ``recover``: the reply was lost, so a new successor takes its place, and the lost
    one counts as stolen if it turns up. ``strict``: the session is revoked."""
    most_sessions: int = 20
    """Sessions of one subject; starting another revokes the oldest. 1 to 1,000."""

    def __post_init__(self) -> None:
        if faults := [*self._faults()]:
            raise ConfigurationError(faults)

    def _faults(self) -> list[str]:
        for name in ("idle", "absolute", "cap_spread", "grace", "most_sessions"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value):
                return [f"{name} is {value!r}, expected a finite number"]
        checks = [
            (60 <= self.idle <= 366 * 86_400, f"idle is {self.idle:g} s, expected 60 s to 366 d"),
            (
                self.idle <= self.absolute <= 732 * 86_400,
                f"absolute is {self.absolute:g} s, expected idle ({self.idle:g}) to 732 d",
            ),
            (
                0 <= self.cap_spread <= 0.5,
                f"cap_spread is {self.cap_spread:g}, expected 0 to 0.5",
            ),
            (0 <= self.grace <= 60, f"grace is {self.grace:g} s, expected 0 to 60"),
            (
                self.after_grace in ("recover", "strict"),
                f"after_grace is {self.after_grace!r}, expected 'recover' or 'strict'",
            ),
            (
                type(self.most_sessions) is int and 1 <= self.most_sessions <= 1000,
                f"most_sessions is {self.most_sessions!r}, expected 1 to 1000",
            ),
        ]
        return [fault for holds, fault in checks if not holds]

    def end_of(self, session_id: str, started_at: float) -> float:
        """Give the instant at which a session ends for good."""
        longest = self.absolute * (1 - self.cap_spread * share_of(f"{session_id} end"))
        return float(math.floor(started_at + max(longest, self.idle)))

    def expiry(self, now: float, ends_at: float) -> float:
        """Give when a refresh token made at `now` expires: a whole second, never past the end."""
        return min(float(math.floor(now + self.idle)), ends_at)


def judge(
    record: SessionRecord | None, counter: int, now: float, settings: SessionSettings
) -> Outcome:
    """Decide what token number `counter` of a session leads to at `now`.

    The current one rotates. The one before it gets the same successor within the grace, and a new
    one after it (``recover``): that the current one was never presented is certain, for it would
    not be current. Whatever else bears a good MAC was spent: reuse, and the session is over. Every
    store decides exactly so, in one atomic step.
    """
    if record is None:
        return Outcome("unknown", None)
    if record.revoked_at:
        return Outcome("revoked", record)
    if not record.is_live(now):
        return Outcome("expired", record)
    if counter == record.counter:
        return Outcome("rotated", _advanced(record, counter, now, settings))
    if counter == record.parent:
        if now - record.rotated_at <= settings.grace:
            return Outcome("replayed", record)
        if settings.after_grace == "recover":
            return Outcome("recovered", _advanced(record, counter, now, settings))
    return Outcome("reused", revoked(record, now, "reuse"))


def revoked(record: SessionRecord, now: float, cause: str) -> SessionRecord:
    """Give `record` as it is once revoked; the first revocation stays."""
    if record.revoked_at:
        return record
    return msgspec.structs.replace(record, revoked_at=now, cause=cause)


def _advanced(
    record: SessionRecord, presented: int, now: float, settings: SessionSettings
) -> SessionRecord:
    return msgspec.structs.replace(
        record,
        counter=record.counter + 1,
        parent=presented,
        rotated_at=now,
        expires_at=settings.expiry(now, record.ends_at),
    )
