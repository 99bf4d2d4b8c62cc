"""Session ids of stored sessions, whose first characters are those of their subject."""

from __future__ import annotations

import hashlib
from typing import Final

from linqi import _base64url

__all__ = ["RANDOM_BYTES", "session_id_of", "subject_tag"]

RANDOM_BYTES: Final = 16
_TAG_BYTES: Final = 6


def session_id_of(subject: str, raw: bytes) -> str:
    """Return the session id of 30 characters: 48 bits of the subject's hash, then `raw`.

    The hash lets a store put the sessions of one subject on one node of a cluster. It reveals
    nothing more than the access tokens, which contain the subject.

    Args:
        subject: The ``sub``.
        raw: `RANDOM_BYTES` bytes, by which the sessions of a subject differ.

    """
    return subject_tag(subject) + _base64url.encode(raw).decode()


def subject_tag(subject: str) -> str:
    """Return the 8 characters with which all session ids of `subject` begin."""
    digest = hashlib.sha256(subject.encode()).digest()
    return _base64url.encode(digest[:_TAG_BYTES]).decode()
