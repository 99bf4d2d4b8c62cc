"""The logging sink: events as records of the standard library's `logging`."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from json import dumps
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from linqi.events import Event

__all__ = ["LoggingHook"]

_BREAKS_OUT: Final = re.compile(r'[\s="\\]')
_FIELD: Final = re.compile(r"(\w+)=%\((\w+)\)")
_MORE_NAMES: Final = {
    name: f"{name}_seconds" for name in ("lag", "buffer", "expired_for", "fresh_for")
}
"""The names of fields that no text line has."""

_LINES: dict[str, tuple[int, str]] = {
    "TokenRefused": (
        logging.INFO,
        "token refused: status=%(status)d code=%(code)s detail=%(detail)s path=%(path)s"
        " token_digest=%(token_digest)s quiet=%(quiet)s",
    ),
    "SocketClosed": (
        logging.INFO,
        "socket closed with 4401: user=%(user)s code=%(code)s path=%(path)s",
    ),
    "StreamClosed": (
        logging.INFO,
        "event stream ended: user=%(user)s code=%(code)s path=%(path)s",
    ),
    "RefusalBodyFailed": (
        logging.ERROR,
        "on_refusal failed, the default body was sent: code=%(code)s path=%(path)s %(detail)s",
    ),
    "TokenBridged": (
        logging.INFO,
        "token of an earlier system accepted: user=%(user)s session=%(session)s"
        " seconds_left=%(seconds_left).0f",
    ),
    "TokenRenewed": (
        logging.INFO,
        "token renewed: user=%(user)s session=%(session)s old_expires_at=%(old_expires_at).3f"
        " new_expires_at=%(new_expires_at).3f buffer_seconds=%(buffer)g lag_seconds=%(lag).3f",
    ),
    "RenewalNotDue": (
        logging.DEBUG,
        "token not near expiry: user=%(user)s expires_at=%(expires_at).3f"
        " buffer_seconds=%(buffer)g due_in_seconds=%(due_in).3f",
    ),
    "RenewalDeferred": (
        logging.INFO,
        "renewal deferred: user=%(user)s session=%(session)s reason=%(reason)s"
        " seconds_left=%(seconds_left).3f",
    ),
    "RenewalSkipped": (
        logging.DEBUG,
        "renewal skipped: user=%(user)s session=%(session)s reason=%(reason)s status=%(status)d"
        " seconds_left=%(seconds_left).3f",
    ),
    "RenewalDenied": (
        logging.WARNING,
        "renewal denied: user=%(user)s session=%(session)s reason=%(reason)s",
    ),
    "RenewalFailed": (
        logging.ERROR,
        "renewal failed, the response was sent without a successor: user=%(user)s"
        " session=%(session)s detail=%(detail)s",
    ),
    "SessionCapReached": (
        logging.INFO,
        "session at its end, not renewed: user=%(user)s session=%(session)s"
        " session_end=%(session_end).3f",
    ),
    "TokenMoved": (
        logging.INFO,
        "token of an earlier system replaced: user=%(user)s session=%(session)s"
        " old_expires_at=%(old_expires_at).3f new_expires_at=%(new_expires_at).3f",
    ),
    "SessionStarted": (
        logging.INFO,
        "session started: user=%(user)s session=%(session)s ends_at=%(ends_at).0f",
    ),
    "SessionRefreshed": (
        logging.INFO,
        "session refreshed: user=%(user)s session=%(session)s outcome=%(outcome)s"
        " sequence=%(sequence)d",
    ),
    "RefreshShared": (
        logging.DEBUG,
        "refresh shared with another request: session=%(session)s sequence=%(sequence)d",
    ),
    "SessionRevoked": (
        logging.INFO,
        "session revoked: user=%(user)s session=%(session)s cause=%(cause)s",
    ),
    "ClaimsOutdated": (
        logging.INFO,
        "claims changed, earlier access tokens are refused: user=%(user)s at=%(at).6f",
    ),
    "ClaimsUpdated": (
        logging.INFO,
        "token with stale claims replaced: user=%(user)s session=%(session)s",
    ),
    "RefreshTokenReused": (
        logging.WARNING,
        "SECURITY refresh token reused, session revoked: user=%(user)s session=%(session)s"
        " presented=%(presented)d current=%(current)d",
    ),
    "RefreshDenied": (
        logging.INFO,
        "refresh refused: reason=%(reason)s detail=%(detail)s session=%(session)s",
    ),
    "RefreshTooLate": (
        logging.WARNING,
        "refresh reached the store after its deadline: session=%(session)s at=%(at).3f",
    ),
    "StoreClockDiffers": (
        logging.WARNING,
        "the clock differs from the store's: ahead_seconds=%(ahead).1f",
    ),
    "StoreWarning": (logging.WARNING, "the store: %(detail)s"),
    "PurgeFellBehind": (
        logging.WARNING,
        "ended sessions are deleted too slowly: deleted=%(deleted)d seconds=%(seconds).0f",
    ),
    "StoreForgot": (
        logging.ERROR,
        "the store lost acknowledged writes, the session goes on: user=%(user)s"
        " session=%(session)s rotations=%(rotations)d",
    ),
    "SessionRouteFailed": (
        logging.ERROR,
        "session route failed: status=%(status)d code=%(code)s detail=%(detail)s path=%(path)s",
    ),
    "LoginThrottled": (
        logging.INFO,
        "sign-in refused, too many failures: limits=%(limits)s wait_seconds=%(wait)g",
    ),
    "LoginThrottleFailed": (
        logging.ERROR,
        "sign-in attempts cannot be counted: step=%(step)s detail=%(detail)s",
    ),
    "RevocationFailed": (logging.ERROR, "revocation check failed: detail=%(detail)s"),
    "RevocationFeedLost": (
        logging.ERROR,
        "revocations do not arrive: detail=%(detail)s served_for_seconds=%(served_for).1f",
    ),
    "RevocationFeedRestored": (logging.WARNING, "revocations arrive again"),
    "KeysRefreshed": (
        logging.INFO,
        "key set refreshed: issuer=%(issuer)s keys=%(keys)d added=%(added)s removed=%(removed)s"
        " lifetime_seconds=%(lifetime)g",
    ),
    "KeysNotFetched": (
        logging.WARNING,
        "key set not fetched: issuer=%(issuer)s detail=%(detail)s failures=%(failures)d"
        " retry_in_seconds=%(retry_in).1f trusted_for_seconds=%(trusted_for).0f",
    ),
    "KeySkipped": (
        logging.WARNING,
        "published key skipped: issuer=%(issuer)s position=%(position)d kid=%(kid)s"
        " reason=%(reason)s detail=%(detail)s",
    ),
    "KeysExpired": (
        logging.ERROR,
        "key set too old to be trusted, its tokens get 503: issuer=%(issuer)s"
        " age_seconds=%(age).0f",
    ),
    "KeyFileRead": (
        logging.INFO,
        "key file read: path=%(path)s keys=%(keys)d added=%(added)s removed=%(removed)s",
    ),
    "KeyFileNotRead": (
        logging.ERROR,
        "key file not usable, the current keys stay: path=%(path)s detail=%(detail)s",
    ),
    "KeysMissing": (
        logging.ERROR,
        "other workers have keys that this one lacks, their tokens get 503: keys=%(keys)s"
        " workers=%(workers)s",
    ),
    "KeysNotAnnounced": (
        logging.WARNING,
        "key ids not announced to the other workers: detail=%(detail)s",
    ),
    "TokenIntrospected": (
        logging.DEBUG,
        "token introspected: issuer=%(issuer)s token_digest=%(token_digest)s outcome=%(outcome)s",
    ),
    "AnswerRefused": (
        logging.WARNING,
        "introspection answer refused: issuer=%(issuer)s token_digest=%(token_digest)s"
        " detail=%(detail)s",
    ),
    "IntrospectionFailed": (
        logging.WARNING,
        "introspection failed, unknown tokens get 503: issuer=%(issuer)s detail=%(detail)s"
        " failures=%(failures)d retry_in_seconds=%(retry_in).1f",
    ),
    "IntrospectionThrottled": (
        logging.WARNING,
        "too many new tokens to introspect, they get 503: issuer=%(issuer)s requests=%(requests)d",
    ),
    "BackgroundTaskFailed": (
        logging.ERROR,
        "background task failed: name=%(name)s detail=%(detail)s retry_in_seconds=%(retry_in).1f",
    ),
    "ServicesNotStarted": (
        logging.ERROR,
        "services not started, requests get 503: detail=%(detail)s retry_in_seconds=%(retry_in).1f",
    ),
}


class LoggingHook:
    """Logs each event as one line, with its fields in ``record.linqi`` for structured formatters.

    Control characters are escaped, and a field with a space, ``=`` or a quote is quoted as in
    logfmt: a user name or a path forges neither a line nor a field of one.

    Args:
        logger: The name of the logger.
        json: Whether the message is one JSON object (RFC 8259) in ASCII: ``time``, ``level``,
            ``event`` (such as ``token_renewed``), the fields under the names that the text has, and
            ``trace_id`` and ``span_id`` where OpenTelemetry has a span.
        clock: Returns Unix seconds, for ``time``.

    """

    def __init__(
        self,
        logger: str = "linqi",
        *,
        json: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._logger = logging.getLogger(logger)
        self._json = json
        self._clock = clock

    def __eq__(self, other: object) -> bool:
        """Return whether `other` writes to the same logger, so that one of the two is enough."""
        return isinstance(other, LoggingHook) and self._logger is other._logger

    def __hash__(self) -> int:
        return hash(self._logger.name)

    def is_verbose(self) -> bool:
        """Return whether the logger is enabled for debug records."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def __call__(self, event: Event) -> None:
        """Log `event` at the level of its type."""
        level, line = _LINES[type(event).__name__]
        if not self._logger.isEnabledFor(level):
            return
        values = asdict(event)
        fields = {name: _printable(value) for name, value in values.items()}
        if self._json:
            message = _json_line(type(event), values, self._clock())
            self._logger.log(level, "%s", message, extra={"linqi": fields})
            return
        quoted = {name: _quoted(value) for name, value in values.items()}
        # logging takes a mapping for its fields only if it is not empty.
        arguments = (quoted,) if quoted else ()
        self._logger.log(level, line, *arguments, extra={"linqi": fields})


def _json_line(event: type[Event], values: dict[str, object], now: float) -> str:
    from linqi.instrumentation.event_name import event_name

    level, line = _LINES[event.__name__]
    names = {field: name for name, field in _FIELD.findall(line)}
    told = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "level": logging.getLevelName(level),
        "event": event_name(event),
        **{names.get(name) or _MORE_NAMES.get(name, name): value for name, value in values.items()},
    }
    if "opentelemetry.trace" in sys.modules:  # where the application uses it
        from linqi.instrumentation.otel import trace_ids

        told |= trace_ids()
    return dumps(told)


def _printable(value: object) -> object:
    """Return `value` with control characters escaped (uvicorn, CVE-2020-7694)."""
    if isinstance(value, tuple):
        return ",".join(str(_printable(item)) for item in value)
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        return value.encode("unicode_escape").decode("ascii")
    return value


def _quoted(value: object) -> object:
    """Return `value` as one field of a line; a quoted one can be read back without loss."""
    if isinstance(value, tuple):
        value = ",".join(str(item) for item in value)
    if isinstance(value, str) and _BREAKS_OUT.search(value):
        escaped = value.encode("unicode_escape").decode("ascii").replace('"', '\\"')
        return f'"{escaped}"'
    return _printable(value)
