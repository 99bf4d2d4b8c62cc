"""Conditional GET requests whose conditions are hidden while a renewal is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from linqi.asgi._http import Scope

__all__ = ["Conditions"]

_HIDDEN: Final = frozenset({b"if-none-match", b"if-modified-since"})
_AGAIN_SECONDS: Final = 10.0
_MOST_TOKENS: Final = 10_000


class Conditions:
    """Hides the conditions of a GET request that would be answered 304 without a successor.

    Only ``If-None-Match`` and ``If-Modified-Since`` of a GET are hidden. With other methods a
    condition guards what is written, as ``If-None-Match: *`` with PUT does (RFC 9110, section
    13.1.2), and so do ``If-Match`` and ``If-Unmodified-Since``; ``If-Range`` keeps the parts of
    two versions apart. The conditions of one token are hidden at most once in 10 s; the last
    10,000 tokens are remembered.

    Args:
        clock: Returns Unix seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._lately: TTLCache[bytes, None] = TTLCache(_MOST_TOKENS, _AGAIN_SECONDS, clock)

    def may_hide(self, scope: Scope, digest: bytes) -> bool:
        """Return whether a request has such conditions, and its token had none hidden lately."""
        return (
            scope["method"] == "GET"
            and any(header[0] in _HIDDEN for header in scope["headers"])
            and digest not in self._lately
        )

    def hide(self, scope: Scope, digest: bytes) -> None:
        """Remove the conditions from `scope`, which must be the caller's own copy."""
        scope["headers"] = [header for header in scope["headers"] if header[0] not in _HIDDEN]
        self._lately[digest] = None
