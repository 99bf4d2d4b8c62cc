"""Rows of stores that no other test has: sessions and revocations."""

import secrets
import time
from typing import Any

from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import new_session_id

__all__ = ["NOW", "RULES", "record", "revocation"]

NOW = int(time.time()) + 0.123456
"""About the instant that the clocks of the stores show."""
RULES = SessionSettings()


def record(subject: str | None = None, **changes: Any) -> SessionRecord:
    """Return a new session of a subject that no other test has."""
    subject = subject or f"user-{secrets.token_hex(6)}"
    started_at = changes.pop("started_at", float(int(NOW)))
    return SessionRecord(
        **{
            "session_id": new_session_id(subject),
            "subject": subject,
            "rotated_at": started_at,
            "first_rotated_at": started_at,
            "started_at": started_at,
            "expires_at": started_at + RULES.idle,
            "ends_at": started_at + RULES.absolute,
            "claims": '{"scope":"read","name":"Zo\u00eb"}',
            "device": "phone \u2603",
        }
        | changes
    )


def revocation(kind: Any = "session", **changes: Any) -> Revocation:
    """Return a revocation of a value that no other test uses."""
    value = secrets.token_hex(8)
    return Revocation(kind=kind, **{"value": value, "at": NOW, "until": NOW + 1200} | changes)
