"""The conditions of a GET, hidden from the application once while a renewal is due."""

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
    """Hides what would be answered 304: such an answer carries no successor.

    Only of a GET. Elsewhere a condition guards what is written, as ``If-None-Match: *`` on PUT
    does (RFC 9110, section 13.1.2), and so do ``If-Match`` and ``If-Unmodified-Since``;
    ``If-Range`` keeps the parts of two versions apart. Of a token whose conditions were hidden
    none is hidden again within 10 s; 10,000 tokens are remembered.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._lately: TTLCache[bytes, None] = TTLCache(_MOST_TOKENS, _AGAIN_SECONDS, clock)

    def may_hide(self, scope: Scope, digest: bytes) -> bool:
        """Check whether a request has such conditions, and its token had none hidden lately."""
        return (
            scope["method"] == "GET"
            and any(header[0] in _HIDDEN for header in scope["headers"])
            and digest not in self._lately
        )

    def hide(self, scope: Scope, digest: bytes) -> None:
        """Take the conditions out of `scope`, which is the caller's own copy."""
        scope["headers"] = [header for header in scope["headers"] if header[0] not in _HIDDEN]
        self._lately[digest] = None
