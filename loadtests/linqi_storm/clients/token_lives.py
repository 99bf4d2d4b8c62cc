"""How long tokens may live by the settings of the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.violations import LONG_LIVES, LONG_REFRESH, OUTLIVED_SESSIONS, SHORT_LIVES

__all__ = ["TokenLives", "refresh_faults"]

_CAPPED_WITHIN: Final = 1.0
"""A token that ends this near to its session's end, in seconds, was shortened by it."""
_ROUNDING: Final = 1.0
"""Responses state whole seconds."""


class _Stated(msgspec.Struct):
    """What a response with a refresh token says of its life, in seconds."""

    refresh_token_timeout: float | None = None
    authorization_expires_in: float | None = None


def refresh_faults(body: bytes, expected: Expectations) -> Iterator[tuple[str, str]]:
    """Yield a fault if a response says that its refresh token outlives the settings.

    Args:
        body: Of a token response; members that it lacks are not judged.
        expected: What is known of the service.

    """
    try:
        stated = msgspec.json.decode(body, type=_Stated)
    except msgspec.MsgspecError:
        return
    timeout, end = stated.refresh_token_timeout, stated.authorization_expires_in
    slack = _ROUNDING + expected.clock_error
    if timeout is not None and timeout > expected.idle + slack:
        yield LONG_REFRESH, f"a refresh token lives {timeout:g} s"
    elif end is not None and end > expected.absolute + slack:
        yield LONG_REFRESH, f"a session lives {end:g} s"
    elif timeout is not None and end is not None and timeout > end + slack:
        yield LONG_REFRESH, f"a refresh token ends {timeout - end:g} s after its session"


class TokenLives:
    """The bounds of every token's life, as the settings promise them.

    The comparison uses ``iat`` and the clock of the client, as a service could state a false
    ``iat``. A request is sent before its token is signed, and a response arrives after it: a late
    client cannot make a correct token look wrong.

    Args:
        lifetime: The longest life, in seconds.
        buffer: The shortest life, in seconds.
        expected: What is known of the service.

    """

    def __init__(self, lifetime: float, buffer: float, expected: Expectations) -> None:
        self._lifetime = lifetime + expected.clock_error
        self._buffer = buffer - expected.clock_error
        self._error = expected.clock_error
        self._judges_rest = expected.has_grid

    def faults(
        self, claims: Mapping[str, Any], *, sent_at: float | None, received_at: float | None
    ) -> Iterator[tuple[str, str]]:
        """Yield the rule and the description of each violation.

        Args:
            claims: Of the new token.
            sent_at: When it was requested, in Unix seconds; None if it was not requested.
            received_at: When it arrived, in Unix seconds; None likewise.

        """
        expires_at = float(claims.get("exp", 0.0))
        issued_at = claims.get("iat")
        life = 0.0 if issued_at is None else expires_at - issued_at
        left = 0.0 if received_at is None else expires_at - received_at
        if max(life, left) > self._lifetime:
            yield LONG_LIVES, f"a token lives {max(life, left):.3f} s"
        end = claims.get("session_end")
        if end is not None and expires_at > end + self._error:
            yield OUTLIVED_SESSIONS, f"a token ends {expires_at - end:.3f} s after its session"
        if end is not None and expires_at > end - _CAPPED_WITHIN:
            return
        rest = float("inf")
        if sent_at is not None and self._judges_rest:
            rest = expires_at - sent_at
        if issued_at is not None and (shortest := min(life, rest)) < self._buffer:
            yield SHORT_LIVES, f"a token lives only {shortest:.3f} s"
