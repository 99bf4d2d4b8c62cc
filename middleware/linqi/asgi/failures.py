"""The events of requests that were refused, and of session routes that failed."""

from __future__ import annotations

import hashlib

from linqi.asgi._http import Scope
from linqi.errors import (
    ConfigurationError,
    ForeignToken,
    InvalidSubject,
    LinqiError,
    TokenExpired,
)
from linqi.events import SessionRouteFailed, TokenRefused
from linqi.jose.verified import Verified

__all__ = ["failure_of", "refused", "token_refused"]


def failure_of(
    error: Exception, status: int, scope: Scope
) -> SessionRouteFailed | TokenRefused | None:
    """Return the event for `error`, answered with `status`; None for faults of the request.

    The event does not contain the text of an error that linqi did not raise: that text may
    contain what the client sent.
    """
    if isinstance(error, ForeignToken):
        return refused(scope, status, error.code, str(error))
    if status < 500 and not isinstance(error, InvalidSubject):
        return None
    code, detail = "unexpected", type(error).__name__
    if isinstance(error, LinqiError):
        code, detail = error.code, str(error)
    if isinstance(error, ConfigurationError):
        detail = "; ".join(error.faults)
    return SessionRouteFailed(status=status, code=code, detail=detail, path=scope["path"])


def refused(scope: Scope, status: int, code: str, detail: str) -> TokenRefused:
    """Return the event for a request whose token, if any, is not enough for a session route."""
    verified = scope.get("linqi")
    digest = verified.digest.hex()[:8] if isinstance(verified, Verified) else ""
    return TokenRefused(
        status=status, code=code, detail=detail, path=scope["path"], token_digest=digest
    )


def token_refused(
    error: LinqiError | None, token: bytes | None, scope: Scope, status: int, *, quiet: bool
) -> TokenRefused:
    """Return the event for a request that the middleware refused with `status` for `error`.

    Args:
        error: Why; None for a request without a token.
        token: The token, of which the event has a digest.
        scope: The request.
        status: The status of the response.
        quiet: Whether the request is one that never extends a session.

    """
    return TokenRefused(
        status=status,
        code="no_token" if error is None else error.code,
        detail="no token was presented" if error is None else str(error),
        path=scope["path"],
        token_digest=hashlib.sha256(token).hexdigest()[:8] if token else "",
        expired_for=error.seconds if isinstance(error, TokenExpired) else None,
        lag=error.lag if isinstance(error, TokenExpired) else None,
        buffer=error.buffer if isinstance(error, TokenExpired) else None,
        quiet=quiet,
    )
