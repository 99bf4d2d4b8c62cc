"""The kinds of outcome by which answers are counted."""

from __future__ import annotations

__all__ = ["outcome_of"]


def outcome_of(status: int, success: str) -> str:
    """Return the kind of an answer by its HTTP status; `success` is the kind of every 2xx."""
    if 200 <= status < 300:
        return success
    if status in (400, 401, 403):
        return "refused"
    if status == 429:
        return "limited"
    if status == 503:
        return "unavailable"
    return "failed" if status >= 500 else "strange"
