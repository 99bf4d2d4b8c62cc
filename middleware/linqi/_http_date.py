"""Dates of HTTP headers (RFC 9110, section 5.6.7)."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["http_date"]


def http_date(text: str) -> float | None:
    """Return an HTTP date in Unix seconds; None if it is malformed.

    A date without a zone, or with ``-0000``, is UTC, whatever the zone of this machine.
    """
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
