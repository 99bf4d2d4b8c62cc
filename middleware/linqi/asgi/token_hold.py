"""The token that holds a long connection open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from linqi.errors import InvalidClaim, TokenError, TokenExpired, Unavailable
from linqi.jose.verified import OPAQUE, Verified
from linqi.jose.verifier import Verifier

__all__ = ["CLOSE_SECONDS", "TokenHold"]

CLOSE_SECONDS: Final = 5.0
"""For how many seconds a peer that does not read may delay the end of the application."""


class TokenHold:
    """The hold of a token on one connection, until the token or its session ends.

    Args:
        verifier: Checks revocation, and the tokens that are adopted.
        verified: The token that opened the connection.
        end_of: Returns the end of the hold of a token, in Unix seconds.
        check_seconds: How often revocation is checked.
        clock: Returns Unix seconds.

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
        self._end = self._end_for(verified)
        self._check_seconds = check_seconds
        self._clock = clock
        self._changed = asyncio.Event()

    def adopt(self, token: bytes | str) -> Verified:
        """Continue the connection under `token`, a successor of the same session.

        Issuer, subject and session must be the same: a subject is unique only within its issuer
        (RFC 7519, section 4.1.2). A token that expires earlier changes nothing; an opaque one is
        adopted in any case, since its end is that of an answer, which may be an older one.

        Returns:
            The verified `token`.

        Raises:
            TokenError: The token is not valid, it belongs to another subject or session
                (`InvalidClaim`), or the connection's own token has no subject. The connection
                stays open under the token it has.

        """
        verified = self._verifier.verify(token)
        mine = self.verified
        if mine.subject is None:
            raise InvalidClaim("the connection's token has no subject, hence no successor", "sub")
        if (verified.issuer, verified.subject) != (mine.issuer, mine.subject):
            raise InvalidClaim("the token is for another subject than the connection's", "sub")
        if verified.session_id != mine.session_id:
            raise InvalidClaim("the token is of another session than the connection's", "sid")
        if verified.expires_at > mine.expires_at or verified.algorithm == OPAQUE:
            self.verified = verified
            self._end = self._end_for(verified)
            self._changed.set()
        return verified

    async def ended(self) -> TokenError:
        """Wait until the token or its session has ended, and return why."""
        while (reason := self._check() or await self._ask_ahead()) is None:
            left = self._end - self._clock()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                # Short waits, so that a jump of the wall clock is noticed.
                await asyncio.wait_for(
                    self._changed.wait(), max(0.001, min(left, self._check_seconds))
                )
        return reason

    async def _ask_ahead(self) -> TokenError | None:
        """Prolong the hold of an opaque token by a later answer; return why it has ended, if so."""
        opaque, mine = self._verifier.opaque, self.verified
        if mine.algorithm != OPAQUE or opaque is None:
            return None
        left = self._end - self._clock()
        with contextlib.suppress(TimeoutError, Unavailable):
            try:
                verified = await asyncio.wait_for(opaque.ask_ahead(mine), max(0.0, left))
                self._verifier.recheck(verified)
            except TokenError as error:
                # Of another token than the one that was asked about, if one was adopted meanwhile.
                return error if self.verified is mine else None
            if self.verified is mine and verified.expires_at > self._end:
                self.verified, self._end = verified, verified.expires_at
        return None

    def _end_for(self, verified: Verified) -> float:
        """Return the end of the hold; an answer about an opaque token counts no second longer."""
        return verified.expires_at if verified.algorithm == OPAQUE else self._end_of(verified)

    def _check(self) -> TokenError | None:
        over = self._clock() - self._end
        if over >= 0:
            return TokenExpired("the token that held the connection open expired", seconds=over)
        try:
            self._verifier.recheck(self.verified.until(self._end))
        except TokenError as error:
            return error
        except Unavailable:
            return None  # unknown now: checked again soon, and the end still applies
        return None
