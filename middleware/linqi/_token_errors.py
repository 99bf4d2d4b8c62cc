"""The base of all errors, and those of tokens that are refused; `linqi.errors` has the tree."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AlgorithmNotAllowed",
    "BoundToken",
    "BridgeClosed",
    "InactiveToken",
    "InvalidClaim",
    "InvalidSignature",
    "LifetimeExceeded",
    "LinqiError",
    "MalformedToken",
    "MissingClaim",
    "RefusedAnswer",
    "StaleClaims",
    "TokenError",
    "TokenExpired",
    "TokenNotYetValid",
    "TokenRevoked",
    "UnfitClaims",
    "UnknownIssuer",
    "UnknownKey",
    "UnsupportedToken",
]


class LinqiError(Exception):
    """The base of all errors that linqi raises on purpose."""

    code: ClassVar[str] = "linqi"


class TokenError(LinqiError):
    """A token that is refused.

    ``code`` and ``detail`` are for the log, ``public_code`` and ``hint`` for the client.
    """

    code = "invalid_token"
    hint: ClassVar[str] = "The access token is invalid"
    public_code: ClassVar[str] = "invalid_token"

    # A property: a constructor written in Python takes 0.3 us of each refusal.
    @property
    def detail(self) -> str:
        """Why the token is refused, without any part of it."""
        return str(self)


class MalformedToken(TokenError):
    """The token is not three base64url segments with strict JSON inside (RFC 7515, section 3.1)."""

    code = "malformed_token"
    hint = "The access token is malformed"
    public_code = "malformed_token"


class UnsupportedToken(TokenError):
    """The token needs a feature that is not supported: JWE, ``crit``, ``b64``, ``zip``."""

    code = "unsupported_token"
    hint = "The access token is malformed"
    public_code = "malformed_token"


class AlgorithmNotAllowed(TokenError):
    """The header's ``alg`` is not on the issuer's list (RFC 8725, section 3.1)."""

    code = "algorithm_not_allowed"


class UnknownIssuer(TokenError):
    """The ``iss`` claim names no trusted issuer (RFC 8725, section 3.8)."""

    code = "unknown_issuer"


class UnknownKey(TokenError):
    """No key of the issuer fits the header's ``alg`` and ``kid``."""

    code = "unknown_key"


class InvalidSignature(TokenError):
    """The signature does not fit the issuer's key."""

    code = "invalid_signature"


class InvalidClaim(TokenError):
    """A claim, ``claim``, has a wrong type or value."""

    code = "invalid_claim"

    def __init__(self, detail: str, claim: str) -> None:
        super().__init__(detail)
        self.claim = claim


class MissingClaim(InvalidClaim):
    """A required claim, ``claim``, is absent."""

    code = "missing_claim"


class TokenExpired(TokenError):
    """The time is ``exp`` or later (RFC 7519, section 4.1.4), by ``seconds``.

    ``lag`` is the time since the token was near expiry, ``buffer`` the least time in which it was;
    both None where no middleware renews.
    """

    code = "token_expired"
    hint = "The access token expired"
    public_code = "token_expired"

    def __init__(self, detail: str, *, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds
        self.lag: float | None = None
        self.buffer: float | None = None


class BridgeClosed(TokenError):
    """The token is of an earlier system, and `Bridge.until`, its last date, is over."""

    code = "bridge_closed"


class LifetimeExceeded(TokenError):
    """The token lives longer (``exp - iat``) than its revocation is kept, or than `Bridge` says."""

    code = "lifetime_exceeded"


class TokenNotYetValid(TokenError):
    """The time is before ``nbf`` (RFC 7519, section 4.1.5) or before ``iat``."""

    code = "token_not_yet_valid"
    hint = "The access token is not valid yet"
    public_code = "token_not_yet_valid"


class BoundToken(TokenError):
    """The token is bound to a key (``cnf``, RFC 7800) whose possession is not checked here.

    A stolen one must not work as a bearer token (RFC 9449, section 7.2; RFC 8705, section 3).
    """

    code = "bound_token"
    hint = "The access token is bound to a key and is no bearer token"
    public_code = "bound_token"


class TokenRevoked(TokenError):
    """The token or its session was revoked."""

    code = "token_revoked"


class StaleClaims(TokenError):
    """The claims of the token were read before `refresh_claims` was called for its subject.

    The session goes on: a refresh, or the sliding renewal of the request, brings new claims.

    Attributes:
        verified: The token, of which everything else was checked.
        mark: When the claims changed, in Unix seconds of the store's clock.

    """

    code = "stale_claims"

    def __init__(self, verified: Any, mark: float) -> None:
        super().__init__("the claims of the subject changed after those of the token were read")
        self.verified = verified
        self.mark = mark


class UnfitClaims(TokenError):
    """The claims of a valid token do not fit the type that the application reads them as."""

    code = "unfit_claims"


class InactiveToken(TokenError):
    """The issuer of an opaque token says that it is not active (RFC 7662, section 2.2)."""

    code = "inactive_token"


class RefusedAnswer(TokenError):
    """The issuer's answer about an opaque token cannot be used, so the token is refused.

    It says nothing of a failure of the issuer's service: requests with other tokens go on.
    """

    code = "refused_answer"
