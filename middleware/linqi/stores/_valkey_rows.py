"""Sessions as the text that the Lua scripts read: what changes as words, the rest as JSON.

It differs from the rows of the SQL stores because a script changes single words of the text by one
pattern, and must not turn instants into numbers, which would lose their last digits.
"""

from __future__ import annotations

from typing import Final

import msgspec

from linqi.sessions.record import SessionRecord

__all__ = ["session_of", "session_row"]


class _Rest(msgspec.Struct, array_like=True):
    """The fields of a session that never change."""

    session_id: str
    subject: str
    started_at: float
    claims: str
    device: str


_read_rest: Final = msgspec.json.Decoder(_Rest).decode


def session_row(record: SessionRecord) -> bytes:
    """Return `record` as the scripts read it, instants with all digits that `repr` writes."""
    head = (
        f"{record.counter} {record.parent} {record.rotated_at!r} {record.expires_at!r}"
        f" {record.ends_at!r} {record.revoked_at!r} {record.cause or '-'}"
        f" {record.first_rotated_at!r} "
    )
    rest = _Rest(record.session_id, record.subject, record.started_at, record.claims, record.device)
    return head.encode() + msgspec.json.encode(rest)


def session_of(row: bytes) -> SessionRecord:
    """Return the session that `row` holds, whichever schema wrote it."""
    counter, parent, rotated_at, expires_at, ends_at, revoked_at, cause, text = row.split(b" ", 7)
    first_rotated_at = rotated_at
    if not text.startswith(b"["):  # a row of schema 1 lacks it; see present.lua
        first_rotated_at, text = text.split(b" ", 1)
    rest = _read_rest(text)
    return SessionRecord(
        session_id=rest.session_id,
        subject=rest.subject,
        counter=int(counter),
        parent=int(parent),
        rotated_at=float(rotated_at),
        first_rotated_at=float(first_rotated_at),
        started_at=rest.started_at,
        expires_at=float(expires_at),
        ends_at=float(ends_at),
        revoked_at=float(revoked_at),
        cause="" if cause == b"-" else cause.decode(),
        claims=rest.claims,
        device=rest.device,
    )
