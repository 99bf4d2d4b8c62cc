"""Login endpoints: their description, their request body, and the tokens in their response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from linqi import ConfigurationError
from linqi._http_date import http_date
from linqi.client.http_post import retry_after_seconds
from linqi_storm.clients.unverified_claims import expiry_of
from linqi_storm.schema.generator_plan import Credential, StormLogin

if TYPE_CHECKING:
    from linqi_storm.clients.wire_responses import WireResponse

__all__ = ["login_content", "read_credential", "read_login", "refusal_of", "retry_after_of"]

_FOREVER: Final = 1e9
"""Assumed lifetime in seconds of a refresh token without ``refresh_token_timeout``."""


class _Added(msgspec.Struct):
    """Members beside the access token; null counts as absent."""

    refresh_token: str | None = None
    refresh_token_timeout: float | None = None
    sequence: int | None = None


class _Refused(msgspec.Struct):
    """An error response (RFC 6749, section 5.2)."""

    error: str = ""


def read_login(text: str) -> StormLogin | None:
    """Return the login endpoint that the JSON of ``--login`` describes; None for an empty text.

    Raises:
        ConfigurationError: If `text` is invalid or has an unknown member.

    """
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=StormLogin)
    except (ValueError, msgspec.MsgspecError) as error:
        raise ConfigurationError([f"--login: {error}"]) from None


def login_content(login: StormLogin, number: int, claims: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return the request body that signs in client `number`, and its media type."""
    body: dict[str, Any] = {
        name: value.replace("{n}", str(number)) for name, value in login.body.items()
    }
    if claims:
        body["claims"] = claims
    if login.encoding == "form":
        return urlencode(body).encode("ascii"), "application/x-www-form-urlencoded"
    return json.dumps(body).encode("utf-8"), "application/json"


def read_credential(
    body: bytes, now: float, token_field: str, *, sequence: int = 0, refresh_token: str = ""
) -> Credential:
    """Return the tokens in a token response (RFC 6749, section 5.1).

    Args:
        body: The response body, with or without the members that linqi adds.
        now: The current instant, on the clock of the returned ``refresh_expires_at``.
        token_field: The member with the access token.
        sequence: Used if the response has no ``sequence``.
        refresh_token: Used if the response has no ``refresh_token``.

    Raises:
        ValueError: If the access token is not a JWT with ``exp``.

    """
    members = msgspec.json.decode(body)
    token = members.get(token_field) if isinstance(members, dict) else None
    if not isinstance(token, str):
        raise ValueError(f"the response has no {token_field!r}")
    expires_at = expiry_of(token.encode())
    if not expires_at:
        raise ValueError(f"{token_field!r} is not a JWT with exp")
    added = msgspec.convert(members, _Added)
    timeout = added.refresh_token_timeout
    return Credential(
        token=token,
        expires_at=expires_at,
        refresh_token=refresh_token if added.refresh_token is None else added.refresh_token,
        refresh_expires_at=now + (_FOREVER if timeout is None else timeout),
        sequence=sequence if added.sequence is None else added.sequence,
    )


def refusal_of(response: WireResponse) -> str:
    """Return the status and the error codes of a refusal, without other text of its body."""
    try:
        code = msgspec.json.decode(response.body, type=_Refused).error[:40]
    except msgspec.MsgspecError:
        code = ""
    outcome = response.headers.get(b"x-refresh-outcome", b"").decode("latin-1")[:40]
    return " ".join(filter(None, (str(response.status), code, outcome)))


def retry_after_of(response: WireResponse) -> float:
    """Return the seconds of ``Retry-After``, which may be a date; 0 without."""
    asked, date = (
        response.headers.get(name, b"").decode("latin-1") for name in (b"retry-after", b"date")
    )
    return retry_after_seconds(asked, http_date(date))
