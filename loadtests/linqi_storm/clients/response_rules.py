"""What the headers and the body of a response must and must not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.schema.violations import (
    CLEARED_COOKIES,
    NO_CHALLENGE,
    NO_VARY,
    REFUSED_WITH_TOKEN,
    STORABLE_REFUSALS,
    STORABLE_TOKENS,
)

__all__ = ["refusal_faults", "storing_faults", "vary_faults"]

_TOKEN: Final = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A JWT: its header begins with ``{"``, and ``eyJ`` is that in base64url."""
_MEMBER: Final = re.compile(rb'"(?:access|refresh|id)_token"\s*:\s*"')
_ERRORS: Final = (b'error="invalid_token"', b'error="insufficient_user_authentication"')
_CLEARED: Final = re.compile(
    rb'^[^=;]*=\s*(?:""\s*)?(?:;|$)|;\s*max-age\s*=\s*(?:-|0+\s*(?:;|$))', re.IGNORECASE
)
"""A cookie without a value, or one that ends at once (RFC 6265, section 5.3)."""
_NO_STORE: Final = re.compile(rb"(?:^|,)\s*no-store\s*(?:,|$)", re.IGNORECASE)


def refusal_faults(
    response: WireResponse, carrier: bytes, *, has_token: bool = True, is_page: bool = True
) -> Iterator[tuple[str, str]]:
    """Yield the rule and the description of each fault in a refused response.

    Args:
        response: Any response other than 2xx.
        carrier: The header or the cookie that carries successors, in lower case.
        has_token: Whether the request had a token, whose error the challenge then names.
        is_page: Whether it was the request of a page; a refused refresh may clear its cookie.

    """
    if response.status == 401:
        challenge = response.headers.get(b"www-authenticate", b"")
        if challenge[:7].lower() != b"bearer ":
            yield NO_CHALLENGE, "a 401 has no bearer challenge"
        elif has_token and not any(error in challenge for error in _ERRORS):
            yield NO_CHALLENGE, "the challenge of a 401 does not name its error"
        if not _NO_STORE.search(response.headers.get(b"cache-control", b"")):
            yield STORABLE_REFUSALS, "a 401 has no no-store"
        if is_page and any(_CLEARED.search(cookie) for cookie in response.cookies):
            yield CLEARED_COOKIES, "a 401 clears a cookie"
    if (place := _token_in(response, carrier)) is not None:
        yield REFUSED_WITH_TOKEN, f"a response {response.status} has a token in its {place}"


def _token_in(response: WireResponse, carrier: bytes) -> str | None:
    if carrier in response.headers:
        return "successor header"
    for name, value in response.headers.items():
        if _TOKEN.search(value):
            return f"header {name.decode('latin-1')}"
    for cookie in response.cookies:
        name, _, value = cookie.partition(b"=")
        value = value.partition(b";")[0].strip(b' "')
        if _TOKEN.search(value) or (value and name.strip().lower() == carrier):
            return "cookies"
    if _TOKEN.search(response.body) or _MEMBER.search(response.body):
        return "body"
    return None


def storing_faults(response: WireResponse) -> Iterator[tuple[str, str]]:
    """Yield a fault if some cache may store a response that carries a token (RFC 9111, RFC 9213).

    Targeted fields of CDNs overrule ``Cache-Control``, so each of them must forbid it too.
    """
    if not _NO_STORE.search(response.headers.get(b"cache-control", b"")):
        yield STORABLE_TOKENS, "a response with a token has no no-store"
        return
    for name, value in response.headers.items():
        is_targeted = name.endswith(b"-cache-control") or name.startswith(b"surrogate-co")
        if is_targeted and not _NO_STORE.search(value):
            yield STORABLE_TOKENS, f"a response with a token has {name.decode('latin-1')}"
            return
        if name == b"x-accel-expires" and value.strip() != b"0":
            yield STORABLE_TOKENS, "a response with a token has x-accel-expires"
            return


def vary_faults(response: WireResponse, carrier: bytes) -> Iterator[tuple[str, str]]:
    """Yield a fault if a response with a successor does not vary by `carrier` and by origin."""
    listed = {part.strip().lower() for part in response.headers.get(b"vary", b"").split(b",")}
    if b"*" in listed:
        return
    if missing := {carrier, b"origin"} - listed:
        names = ", ".join(sorted(name.decode("latin-1") for name in missing))
        yield NO_VARY, f"a response with a successor does not vary by {names}"
