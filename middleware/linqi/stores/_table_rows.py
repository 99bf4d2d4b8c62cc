"""Sessions and revocations as rows of the SQL stores' tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from linqi.sessions.record import Revocation, SessionRecord

__all__ = [
    "REVOCATION_COLUMNS",
    "SESSION_COLUMNS",
    "revocation_of",
    "revocation_row",
    "session_of",
    "session_row",
]

SESSION_COLUMNS: Final = (
    "session_id",
    "subject",
    "counter",
    "parent",
    "rotated_at",
    "started_at",
    "expires_at",
    "ends_at",
    "revoked_at",
    "cause",
    "claims",
    "device",
    "first_rotated_at",
)
"""The columns of a session in the table's order, each named as its field. A migration can add one
only at the end."""

REVOCATION_COLUMNS: Final = ("kind", "value", "at", "until", "spared")
"""The columns of a revocation; ``spared`` holds `Revocation.kept_session`."""


def session_row(record: SessionRecord) -> tuple[Any, ...]:
    """Return `record` as values in the order of `SESSION_COLUMNS`."""
    return tuple(getattr(record, name) for name in SESSION_COLUMNS)


def session_of(row: Sequence[Any]) -> SessionRecord:
    """Return the session in `row`, which has the values of `SESSION_COLUMNS` in their order."""
    (session_id, subject, counter, parent, rotated_at, started_at, *rest) = row
    expires_at, ends_at, revoked_at, cause, claims, device, first_rotated_at = rest
    return SessionRecord(
        session_id=session_id,
        subject=subject,
        counter=counter,
        parent=parent,
        rotated_at=rotated_at,
        first_rotated_at=first_rotated_at,
        started_at=started_at,
        expires_at=expires_at,
        ends_at=ends_at,
        revoked_at=revoked_at,
        cause=cause,
        claims=claims,
        device=device,
    )


def revocation_row(revocation: Revocation) -> tuple[Any, ...]:
    """Return `revocation` as values in the order of `REVOCATION_COLUMNS`."""
    return (
        revocation.kind,
        revocation.value,
        revocation.at,
        revocation.until,
        revocation.kept_session,
    )


def revocation_of(row: Sequence[Any]) -> Revocation:
    """Return the revocation in `row`, the values of `REVOCATION_COLUMNS` in their order."""
    kind, value, at, until, kept_session = row
    return Revocation(kind=kind, value=value, at=at, until=until, kept_session=kept_session)
