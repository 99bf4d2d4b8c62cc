"""Who a session of a storm is: its subject, and claims of its own that only it may carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

__all__ = ["MARK", "claims_of", "echo_of", "identity_claims", "scopes_of", "subject_of"]

MARK: Final = "storm"
"""The application claim with a value of the session's own."""


def subject_of(index: int) -> str:
    """Return the ``sub`` of session `index`."""
    return f"user-{index}"


def claims_of(run: str, subject: str) -> dict[str, Any]:
    """Return the application claims of a session of `subject` in the storm `run`."""
    return {MARK: f"{subject}@{run}"}


def scopes_of(subject: str) -> tuple[str, ...]:
    """Return the scopes of a session of `subject`."""
    return ("storm", f"storm:{subject}")


def identity_claims(run: str, index: int) -> dict[str, Any]:
    """Return all of these as the claims of a token that an outside issuer signs."""
    subject = subject_of(index)
    return {"sub": subject, "scope": " ".join(scopes_of(subject)), **claims_of(run, subject)}


def echo_of(subject: str | None, session: str | None, mark: Any, scopes: Sequence[str]) -> bytes:
    """Return what the embedded applications answer to the question who the caller is, as JSON."""
    return msgspec.json.encode({"sub": subject, "sid": session, MARK: mark, "scope": scopes})
