"""The files by which an issuer in a private network is reached."""

from __future__ import annotations

import ssl
from typing import Final

from linqi.errors import FetchFailed, TokenError
from linqi.jose._compact import decode_segment, parse_object, split_token
from linqi.jose.limits import TokenLimits
from linqi.jwks.access import RemoteAccess, read_authorities, read_token, tls_context
from linqi.live.probe import Environment, ProbeResult

__all__ = ["look_at_authorities", "look_at_token", "trusted_by"]

_DAY: Final = 86_400.0
_SOON: Final = 14 * _DAY


def trusted_by(access: RemoteAccess) -> ssl.SSLContext:
    """Return the TLS context with which workers ask a server; call it in a thread.

    Raises:
        FetchFailed: The file of certificates cannot be read.

    """
    if access.ca_file is None:
        return ssl.create_default_context()
    return tls_context(read_authorities(access.ca_file))


def look_at_authorities(
    context: ssl.SSLContext, access: RemoteAccess, environment: Environment, result: ProbeResult
) -> None:
    """Report when the last certificate of a private authority ends.

    A file with an earlier one beside it is that of an authority that is being replaced.
    """
    if access.ca_file is None:
        return
    ends = [ssl.cert_time_to_seconds(str(one["notAfter"])) for one in context.get_ca_certs()]
    left = max(ends, default=0.0) - environment.clock()
    days = f"{left / _DAY:.0f} days"
    result.saw(f"{access.ca_file}: authorities: {len(ends)}, the last ends in {days}")
    if left < _SOON:
        result.found(
            "warning",
            "issuer-authority",
            f"the last certificate of ca_file {access.ca_file} ends in {left / _DAY:.1f} days; from"
            " then on no keys are fetched",
            "replace the file by one with the certificate that comes after; workers read it again"
            " for each request",
        )


def look_at_token(access: RemoteAccess, environment: Environment, result: ProbeResult) -> None:
    """Report a token that is missing, cannot be read, or has expired; call it in a thread.

    The token itself is never shown. One that is no JWT has no end that can be read.
    """
    if access.token_file is None:
        return
    try:
        token = read_token(access.token_file)
    except FetchFailed as error:
        result.found(
            "error",
            "issuer-token",
            str(error),
            "mount the token there, and let the user of the workers read it",
        )
        return
    try:
        _, _, payload, _ = split_token(token.encode(), TokenLimits().token_bytes)
        end = parse_object(decode_segment(payload), "payload").get("exp")
    except TokenError:
        end = None
    if not isinstance(end, int | float):
        result.saw(f"{access.token_file}: a token without a readable end")
        return
    left = end - environment.clock()
    if left > 0:
        result.saw(f"{access.token_file}: a token that expires in {left:.0f} s")
        return
    result.found(
        "error",
        "issuer-token",
        f"the token of token_file {access.token_file} expired {-left:.0f} s ago",
        "let what wrote it replace it in time; kubelet does, for a projected service-account token",
    )
