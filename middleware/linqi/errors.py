"""All errors that linqi raises on purpose, as one tree.

```text
LinqiError
├── ConfigurationError        every fault of a configuration, each with its remedy
├── InvalidKey                a key that may not be used
├── TokenError                a token that is refused
│   ├── MalformedToken        not a compact JWS with strict JSON inside
│   ├── UnsupportedToken      encrypted, compressed, critical or detached forms
│   ├── AlgorithmNotAllowed   ``alg`` is not on the issuer's list
│   ├── UnknownIssuer         ``iss`` names no trusted issuer
│   ├── UnknownKey            no key of that issuer fits the header
│   ├── InvalidSignature      the signature does not fit the key
│   ├── InvalidClaim          a claim has the wrong type or value
│   │   └── MissingClaim      a required claim is absent
│   ├── TokenExpired          ``now >= exp``
│   ├── LifetimeExceeded      an own token that lives longer than allowed
│   ├── BridgeClosed          a token of an earlier system, after the bridge's date
│   ├── TokenNotYetValid      ``now < nbf`` or ``now < iat``
│   ├── BoundToken            a token with ``cnf``, presented without its proof
│   ├── TokenRevoked          the session or the token was revoked
│   ├── StaleClaims           its claims were read before they changed
│   ├── UnfitClaims           its claims do not fit the application's type
│   ├── InactiveToken         an opaque token that its issuer does not call active
│   └── RefusedAnswer         an issuer's answer about an opaque token that cannot be used
├── ApplicationFault          a function of the application raised, or returned a wrong value
├── InvalidSubject            a subject that no token can carry
├── ForeignToken              a valid token of another issuer, where only own ones are accepted
├── InvalidCursor             a place in a list that this list did not return
├── InvalidRequest            credentials that do not conform to RFC 6750
├── SigningError              a token could not be signed
├── RenewalRefused            a session may not be renewed
├── RefreshRefused            a refresh token that is not redeemed
├── SignedOut                 a client's session has ended: sign in again
├── Unavailable               something that verification needs is not available now
│   └── NotStarted            a service was not started
├── FetchFailed               an issuer's document that could not be fetched or read
│   └── ResponseTooLong       its response is longer than the limit
└── QuietExpired              a quiet request is not sent: its token is expired
```

``code`` is stable and machine-readable. ``detail`` is for the operator's log: it contains no
token, key or claim value. ``hint`` is the one sentence that a client may see (RFC 6750, section
3.1), and ``public_code`` the code: it tells no more than the hint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from linqi._token_errors import (
    AlgorithmNotAllowed,
    BoundToken,
    BridgeClosed,
    InactiveToken,
    InvalidClaim,
    InvalidSignature,
    LifetimeExceeded,
    LinqiError,
    MalformedToken,
    MissingClaim,
    RefusedAnswer,
    StaleClaims,
    TokenError,
    TokenExpired,
    TokenNotYetValid,
    TokenRevoked,
    UnfitClaims,
    UnknownIssuer,
    UnknownKey,
    UnsupportedToken,
)

__all__ = [
    "AlgorithmNotAllowed",
    "ApplicationFault",
    "BoundToken",
    "BridgeClosed",
    "ConfigurationError",
    "FetchFailed",
    "ForeignToken",
    "InactiveToken",
    "InvalidClaim",
    "InvalidCursor",
    "InvalidKey",
    "InvalidRequest",
    "InvalidSignature",
    "InvalidSubject",
    "LifetimeExceeded",
    "LinqiError",
    "MalformedToken",
    "MissingClaim",
    "NotStarted",
    "QuietExpired",
    "RefreshRefused",
    "RefusedAnswer",
    "RenewalRefused",
    "ResponseTooLong",
    "SignedOut",
    "SigningError",
    "StaleClaims",
    "TokenError",
    "TokenExpired",
    "TokenNotYetValid",
    "TokenRevoked",
    "Unavailable",
    "UnfitClaims",
    "UnknownIssuer",
    "UnknownKey",
    "UnsupportedToken",
]


class ConfigurationError(LinqiError):
    """A configuration that must not run.

    Attributes:
        faults: Every fault, each with its remedy.

    """

    code = "configuration"

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"- {fault}" for fault in self.faults))

    def __str__(self) -> str:
        count = len(self.faults)
        return f"{count} fault{'s' if count != 1 else ''} in the configuration:\n{self.args[0]}"


class InvalidKey(LinqiError):
    """A key that may not be used; the message says why, and the remedy."""

    code = "invalid_key"


class ApplicationFault(LinqiError):
    """A function of the application raised, or returned a wrong value: a programming error.

    The traceback is in the log of ``linqi``; a retry does not help.

    Attributes:
        function: ``authenticate`` or ``authorize``.
        detail: What happened, without the arguments of the function.

    """

    code = "application_fault"

    def __init__(self, function: str, detail: str) -> None:
        super().__init__(f"{function} {detail}")
        self.function = function
        self.detail = detail


class InvalidSubject(LinqiError):
    """A subject that no token can carry: empty, over 1,024 characters, with NUL (V13)."""

    code = "invalid_subject"


class ForeignToken(LinqiError):
    """A valid token of another issuer, where only own tokens are accepted.

    A subject is unique within its issuer only (RFC 7519, section 4.1.2): ``alice`` of another
    issuer is another user than ``alice`` of this deployment.
    """

    code = "foreign_token"


class InvalidCursor(LinqiError):
    """A cursor or a limit of a list of sessions that cannot be used; the caller's fault."""

    code = "invalid_cursor"


class InvalidRequest(LinqiError):
    """Credentials that are not sent as RFC 6750, section 2, requires."""

    code = "invalid_request"
    hint: ClassVar[str] = "The credentials are not presented as RFC 6750 asks"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class SigningError(LinqiError):
    """A token could not be signed."""

    code = "signing_failed"


class RenewalRefused(LinqiError):
    """A session may not be renewed; ``reason`` is ``"revoked"`` or ``"authorize"``."""

    code = "renewal_refused"

    def __init__(self, reason: Literal["authorize", "revoked"]) -> None:
        super().__init__(f"the session may not be renewed ({reason})")
        self.reason = reason


class RefreshRefused(LinqiError):
    """A refresh token that is not redeemed; the client must sign in again (RFC 6749, 5.2).

    ``reason``: ``malformed``, ``forged``, ``expired``, ``unknown``, ``revoked``, ``reused``,
    ``denied``, ``moved`` or ``scope``. ``detail`` is for the log.
    """

    code = "refresh_refused"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SignedOut(LinqiError):
    """A client's session has ended: its refresh token was refused."""

    code = "signed_out"


class QuietExpired(LinqiError):
    """A client's quiet request was not sent: its token is expired, and it may not renew it."""

    code = "quiet_expired"


class FetchFailed(LinqiError):
    """An issuer's document that could not be fetched, or is not valid.

    Attributes:
        retry_after: The seconds of the response's ``Retry-After``; None without one.
        status: The status of a response that was refused for it; 0 otherwise.

    """

    code = "fetch_failed"

    def __init__(self, detail: str, *, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(detail)
        self.retry_after, self.status = retry_after, status


class ResponseTooLong(FetchFailed):
    """An issuer's response is longer than the limit, as it was sent or decompressed."""

    code = "response_too_long"


class Unavailable(LinqiError):
    """Something that verification needs is not available; retry in ``retry_after`` seconds."""

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.detail, self.retry_after = detail, retry_after


class NotStarted(Unavailable):
    """A service, `what`, was not started or is closed; waiting does not help."""

    code = "not_started"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not started: name the sessions among the middleware's services, as in"
            " JWTMiddleware(..., services=[sessions]), or await sessions.start() before requests"
        )
