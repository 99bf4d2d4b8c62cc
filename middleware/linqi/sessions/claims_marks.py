"""When the claims of a subject changed, and which access tokens are older: pure decisions."""

from __future__ import annotations

import hashlib
import math
from typing import Final, Protocol, runtime_checkable

import msgspec

from linqi import _base64url

__all__ = [
    "CLAIMS_AT",
    "KnowsClaimsMarks",
    "claims_at_of",
    "is_stale",
    "marks_source",
    "next_mark",
    "updated_id",
]

CLAIMS_AT: Final = "claims_at"
"""The claim of an access token that says as of which instant its other claims are."""


class _Claims(msgspec.Struct):
    claims_at: float = 0.0


_read_claims: Final = msgspec.json.Decoder(_Claims).decode


@runtime_checkable
class KnowsClaimsMarks(Protocol):
    """An object that knows whose claims changed, and when."""

    def claims_instant(self) -> float:
        """Return the instant as of which claims are that are read from now on.

        In Unix seconds of the store's clock, and never before a mark that is known here; 0 if
        the store was not started.
        """
        ...


def marks_source(is_revoked: object) -> KnowsClaimsMarks | None:
    """Return the object whose method `is_revoked` is, if it knows marks, such as `Revocations`."""
    knows = getattr(is_revoked, "__self__", None)
    return knows if isinstance(knows, KnowsClaimsMarks) else None


def updated_id(session: str, token_id: str, mark: float) -> str:
    """Return the ``jti`` of a token that replaces another for its claims: the same everywhere."""
    digest = hashlib.sha256(f"{session}\n{token_id}\nclaims {mark!r}".encode()).digest()
    return _base64url.encode(digest[:16]).decode()


def claims_at_of(payload: bytes) -> float:
    """Return the ``claims_at`` of a verified payload; 0 if it has none that is a number."""
    try:
        return _read_claims(payload).claims_at
    except msgspec.MsgspecError:
        return 0.0


def is_stale(claims_at: float, mark: float) -> bool:
    """Return whether claims as of `claims_at` may be those from before the mark.

    ``iat`` cannot tell: it is a whole second, and with the grid the last grid point, minutes ago.
    """
    return claims_at < mark


def next_mark(store_now: float, latest: float) -> float:
    """Return the instant of a new mark: after every token whose claims were read before.

    Args:
        store_now: The store's clock, read after the claims were changed.
        latest: The latest mark that is known here. It may be ahead of a clock that was set back,
            and tokens that were made after it are as of it.

    """
    return math.nextafter(max(store_now, latest), math.inf)
