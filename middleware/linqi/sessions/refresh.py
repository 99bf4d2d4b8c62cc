"""The rotation of refresh tokens: pure decisions, without I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError
from linqi.sessions.record import RotationOutcome, SessionRecord
from linqi.sessions.renewal import share_of

__all__ = ["SessionSettings", "decide_rotation", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How long sessions last and how their refresh tokens rotate; durations in seconds."""

    RANGES: ClassVar[Ranges] = {
        "idle": Range(60, 366 * DAY, "seconds"),
        "absolute": Range(60, 732 * DAY, "seconds"),
        "cap_spread": Range(0, 0.5),
        "grace": Range(0, 60, "seconds"),
        "recover_seconds": Range(0, 366 * DAY, "seconds"),
        "most_sessions": Range(1, 1000, is_whole=True),
        "most_forgotten": Range(0, 10_000, is_whole=True),
    }

    idle: float = 7 * 86_400
    """How long a refresh token is valid unused; a rotation restarts it. 60 s to 366 days."""
    absolute: float = 30 * 86_400
    """The longest life of a session, which no rotation extends (RFC 9700, NIST SP 800-63B AAL1);
    `idle` to 732 days."""
    cap_spread: float = 0.1
    """The share of `absolute` by which sessions may end earlier, each by its own hash. 0 to 0.5."""
    grace: float = 10
    """How long after a rotation the previous token gets the same successor again: parallel tabs,
    re-sent requests. Using it does not extend it. 0 to 60 s."""
    recover_seconds: float = 86_400
    """How long after its first rotation the previous token gets a new successor, as long as the
    current one was never presented: the reply was lost. A day, so that a phone that lost a reply
    and slept is still signed in. In this time a stolen previous token works too, and the theft is
    detected only when the other side presents the superseded token (RFC 9700, section 4.14.2). 0 is
    strict: after the grace it is reuse. 0 to 366 days."""
    most_sessions: int = 20
    """Sessions of one subject; starting another revokes the oldest. 1 to 1,000."""
    most_forgotten: int = 2
    """How many rotations of a session the store may have lost, as in a failover: a token that is
    ahead of its row by so many is taken over. 2, because a client refreshes once in minutes and a
    replica lags by less. Until the session's newest token is presented, that many spent ones work
    once more. 0: a token ahead is reuse. 0 to 10,000."""

    def __post_init__(self) -> None:
        if faults := [*self._faults()]:
            raise ConfigurationError(faults)

    def _faults(self) -> list[str]:
        faults = range_faults(self.RANGES, self)
        if not faults and self.absolute < self.idle:
            faults.append(f"absolute is {self.absolute:g}, expected at least idle ({self.idle:g})")
        return faults

    def allowing(self, most_forgotten: int) -> SessionSettings:
        """Return these settings with a `most_forgotten` of at least so many."""
        return replace(self, most_forgotten=max(self.most_forgotten, most_forgotten))

    def end_of(self, session_id: str, started_at: float) -> float:
        """Return the absolute end of a session, a whole second."""
        longest = self.absolute * (1 - self.cap_spread * share_of(f"{session_id} end"))
        return float(math.floor(started_at + max(longest, self.idle)))

    def expiry(self, now: float, ends_at: float) -> float:
        """Return when a refresh token made at `now` expires: a whole second, at most `ends_at`."""
        return min(float(math.floor(now + self.idle)), ends_at)


def decide_rotation(
    record: SessionRecord | None,
    counter: int,
    now: float,
    settings: SessionSettings,
    deadline: float = math.inf,
) -> RotationOutcome:
    """Return the outcome of presenting token number `counter` of a session at `now`.

    A command that is executed after its deadline changes nothing: its worker gave up before, and
    the client may have gone on with another one. Its token would look reused.

    The current token rotates. Its parent gets the same successor within the grace, and a new one
    after it, within `SessionSettings.recover_seconds` of the parent's first rotation: the current
    token was never presented, or it would not be current. That bound holds for both and recovery
    does not extend it, so a spent token is worthless after it (RFC 9700, section 4.14.2).

    A counter ahead of the row, whose MAC is valid, proves that the store lost a write. By at most
    `SessionSettings.most_forgotten` it is taken over: the row goes on from the token as if that had
    been the current one, so every lower number is spent, the old parent included, and the bounds of
    a replay and a recovery begin anew. Any other counter was spent: reuse, and the session is
    revoked. Every store applies this rule in one atomic step.

    Args:
        record: The session before; None if the store has none.
        counter: From a refresh token whose MAC was checked.
        now: The store's clock, read in the atomic step: after all waiting for it.
        settings: The rules.
        deadline: On the same clock.

    """
    if now > deadline:
        return RotationOutcome("late", None, now)
    if record is None:
        return RotationOutcome("unknown", None, now)
    if record.revoked_at:
        return RotationOutcome("revoked", record, now)
    if not record.is_live(now):
        return RotationOutcome("expired", record, now)
    if counter == record.counter:
        return RotationOutcome("rotated", _advanced(record, counter, now, settings), now)
    forgotten = counter - record.counter
    if 0 < forgotten <= settings.most_forgotten:
        return RotationOutcome(
            "recovered", _advanced(record, counter, now, settings), now, forgotten
        )
    age = now - record.first_rotated_at
    if counter == record.parent and age <= max(settings.grace, settings.recover_seconds):
        if now - record.rotated_at <= settings.grace:
            return RotationOutcome("replayed", record, now)
        if age <= settings.recover_seconds:
            return RotationOutcome("recovered", _advanced(record, counter, now, settings), now)
    return RotationOutcome("reused", revoked(record, now, "reuse"), now)


def revoked(record: SessionRecord, now: float, cause: str) -> SessionRecord:
    """Return `record` as a revoked one; an earlier revocation stays as it is."""
    if record.revoked_at:
        return record
    return msgspec.structs.replace(record, revoked_at=now, cause=cause)


def _advanced(
    record: SessionRecord, presented: int, now: float, settings: SessionSettings
) -> SessionRecord:
    return msgspec.structs.replace(
        record,
        counter=max(record.counter, presented) + 1,
        parent=presented,
        rotated_at=now,
        first_rotated_at=now if presented >= record.counter else record.first_rotated_at,
        expires_at=settings.expiry(now, record.ends_at),
    )
