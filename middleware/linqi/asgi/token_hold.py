"""The token that holds a long connection open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from linqi.errors import InvalidClaim, TokenError, TokenExpired, Unavailable
from linqi.jose.verified import Verified
from linqi.jose.verifier import Verifier

__all__ = ["CLOSE_SECONDS", "TokenHold"]

CLOSE_SECONDS: Final = 5.0
"""How long a peer that does not read may delay the application's end."""


class TokenHold:
    """Tells when the token or session of one connection has ended.

    Attributes:
        verified: The token that holds the connection open: the latest one adopted.

    """

    def __init__(
        self,
        verifier: Verifier,
        verified: Verified,
        *,
        end_of: Callable[[Verified], float],
        check_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.verified = verified
        self._verifier = verifier
        self._end_of = end_of
        self._end = end_of(verified)
        self._check_seconds = check_seconds
        self._clock = clock
        self._changed = asyncio.Event()

    def adopt(self, token: bytes | str) -> Verified:
        """Go on under `token`, a successor of the same session.

        Issuer, subject and session must be the same: a subject is unique within its issuer only
        (RFC 7519, section 4.1.2). An older token changes nothing.

        Raises:
            TokenError: It is not valid, or of somebody else (`InvalidClaim`), or the connection's
                own token has no subject to compare with. The connection stays open as it is.

        """
        verified = self._verifier.verify(token)
        mine = self.verified
        if mine.subject is None:
            raise InvalidClaim("the connection's token has no subject, hence no successor", "sub")
        if (verified.issuer, verified.subject) != (mine.issuer, mine.subject):
            raise InvalidClaim("the token is for another subject than the connection's", "sub")
        if verified.session_id != mine.session_id:
            raise InvalidClaim("the token is of another session than the connection's", "sid")
        if verified.expires_at > mine.expires_at:
            self.verified = verified
            self._end = self._end_of(verified)
            self._changed.set()
        return verified

    async def ended(self) -> TokenError:
        """Return why the token or its session has ended, when it has."""
        while (reason := self._check()) is None:
            left = self._end - self._clock()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                # Short waits, so that a wall clock that jumps is noticed.
                await asyncio.wait_for(
                    self._changed.wait(), max(0.001, min(left, self._check_seconds))
                )
        return reason

    def _check(self) -> TokenError | None:
        over = self._clock() - self._end
        if over >= 0:
            return TokenExpired("the token that held the connection open expired", seconds=over)
        try:
            self._verifier.recheck(self.verified.until(self._end))
        except TokenError as error:
            return error
        except Unavailable:
            return None  # cannot be told now: asked again in a moment, and the end still holds
        return None
