"""What an issuer said about tokens, for as long as it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from cachetools import TLRUCache, TTLCache

from linqi.errors import TokenError
from linqi.introspection.answer import ActiveToken
from linqi.introspection.settings import IntrospectionSettings
from linqi.jose.opaque_issuer import Answer

__all__ = ["Answers"]

_AHEAD: Final = 0.8
"""The share of an answer's time after which it is due to be asked for again, if it is used."""
_KNOWN_SECONDS: Final = 3600.0
"""How long a token is remembered as one that was active: such tokens do not count as new."""
_KNOWN_BYTES: Final = 32 * 2**20
_ENTRY_BYTES: Final = 700
_MOST_REFUSED: Final = 8192


class _Known(msgspec.Struct, frozen=True):
    """A token that was active when the issuer was asked about it last."""

    token: bytes
    payload: bytes
    asked_at: float
    """Of the monotonic clock, as the next two."""
    due_at: float
    """When it is asked about again, if it is used."""
    until: float
    """When the answer no longer counts."""
    ends_at: float
    """The same in Unix seconds."""
    expires_at: float
    """The token's ``exp``, infinite if the issuer did not name it."""


class Answers:
    """The answers about tokens, by the SHA-256 of the token: bounded in number, bytes and time.

    An answer ends by whichever clock is first: a wall clock that is set back makes none last
    longer.

    Args:
        settings: How long an answer counts.
        clock: Returns Unix seconds.
        monotonic: Returns a monotonic clock in seconds.

    """

    def __init__(
        self,
        settings: IntrospectionSettings,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._known: TLRUCache[bytes, _Known] = TLRUCache(
            _KNOWN_BYTES, lambda _, known, __: known.asked_at + _KNOWN_SECONDS, monotonic, _size_of
        )
        self._refused: TTLCache[bytes, tuple[type[TokenError], str]] = TTLCache(
            _MOST_REFUSED, settings.inactive_seconds, monotonic
        )

    @property
    def active(self) -> int:
        """How many tokens are remembered as active at some time."""
        return len(self._known)

    @property
    def refused(self) -> int:
        """How many tokens are remembered as refused."""
        return len(self._refused)

    def is_known(self, digest: bytes) -> bool:
        """Return whether a token was active when it was asked about last."""
        return digest in self._known

    def find(self, digest: bytes, paused_for: float) -> Answer | None:
        """Return the answer about a token that counts now; None without one.

        Args:
            digest: The SHA-256 of the token.
            paused_for: Seconds for which the issuer cannot be asked; 0 or less if it can.

        Raises:
            InactiveToken: The issuer said that the token is not active.
            RefusedAnswer: Its answer about the token cannot be used.

        """
        if (refused := self._refused.get(digest)) is not None:
            kind, why = refused
            raise kind(why)
        known = self._known.get(digest)
        if known is None:
            return None
        now, wall = self._monotonic(), self._clock()
        left = min(known.until - now, known.ends_at - wall)
        if left > 0:
            # From `due_at` on a cache looks here again, so that the token is asked about in time.
            again_at = known.due_at if now < known.due_at else now + min(left, 1.0)
            return Answer(known.payload, known.ends_at, again_at)
        left = min(left + self._settings.stale_seconds, known.expires_at - wall)
        if left > 0 and paused_for > 0:
            return Answer(known.payload, wall + left, now + min(left, paused_for))
        return None

    def is_cut(self, digest: bytes) -> bool:
        """Return whether a step of the wall clock ended an answer that caches still hold."""
        known = self._known.get(digest)
        if known is None or self._clock() < known.ends_at:
            return False
        return self._monotonic() < known.until

    def due(self, digest: bytes) -> bytes | None:
        """Return the token of an answer that is soon too old; None for any other."""
        known = self._known.get(digest)
        return known.token if known is not None and self._monotonic() >= known.due_at else None

    def remember(self, token: bytes, digest: bytes, found: ActiveToken, began: float) -> None:
        """Remember that a token is active.

        Args:
            token: The token.
            digest: Its SHA-256.
            found: What the issuer said.
            began: When it was asked, on the monotonic clock: the answer may be as old.

        """
        lasts = min(found.expires_at - found.asked_at, self._settings.trust_seconds)
        self._refused.pop(digest, None)
        self._known[digest] = _Known(
            token=token,
            payload=found.payload,
            asked_at=began,
            due_at=began + lasts * _AHEAD,
            until=began + lasts,
            ends_at=found.asked_at + lasts,
            expires_at=found.expires_at,
        )

    def refuse(self, digest: bytes, error: TokenError) -> bool:
        """Remember that a token is refused; return whether it was active before."""
        self._refused[digest] = type(error), str(error)
        return self._known.pop(digest, None) is not None


def _size_of(known: _Known) -> int:
    return len(known.token) + len(known.payload) + _ENTRY_BYTES
