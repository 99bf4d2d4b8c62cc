"""The issuers of opaque tokens: whether they answer this API, by a token that no one has."""

from __future__ import annotations

import secrets

from linqi.errors import FetchFailed, TokenError
from linqi.introspection.introspection import Introspection
from linqi.live.probe import Environment, ProbeResult

__all__ = ["look_at_introspection"]


async def look_at_introspection(
    source: Introspection, environment: Environment, result: ProbeResult
) -> None:
    """Ask an issuer about a made-up token: it must say that the token is not active."""
    try:
        is_active = await source.probe(f"linqi-check-{secrets.token_urlsafe(16)}")
    except FetchFailed as error:
        result.found(
            "error",
            "introspection-failed",
            f"{source.issuer} cannot be asked about tokens, so they get 503: {error}",
            "compare introspection_url, client_id and the secret with those at the issuer",
        )
    except TokenError as error:
        result.found(
            "error",
            "introspection-answer",
            f"the answer of {source.issuer} cannot be used, so its tokens get 401: {error}",
            "introspection_url must be an endpoint of RFC 7662 that answers with JSON",
        )
    else:
        if is_active:
            result.found(
                "error",
                "introspection-lies",
                f"{source.issuer} says that a made-up token is active: it would accept any token",
                "remove the entry until its operator has repaired the endpoint",
            )
        else:
            result.saw(f"{source.issuer}: a made-up token is not active")
    finally:
        await source.close()
