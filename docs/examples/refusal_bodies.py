"""Refused requests in a format of your own: an envelope, in the language of the user."""

from collections.abc import Mapping
from typing import Any

from linqi import (
    JWTMiddleware,
    Key,
    RefusalFacts,
    RefusalFormat,
    RequireScopes,
    Signer,
    SlidingRenewal,
    Verifier,
)

signer = Signer(Key.generate("HS256"), issuer="https://shop.example", audience="shop")
renewal = SlidingRenewal(signer)


async def orders(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"[]"})


def on_refusal(facts: RefusalFacts) -> Mapping[str, Any] | None:
    """Add where to sign in, for refusals that a sign-in ends."""
    if facts.status != 401:
        return None  # the envelope
    return {"code": facts.code, "msg": facts.text, "data": {"login": "/login"}}


app = JWTMiddleware(
    RequireScopes(orders, "orders:read"),
    Verifier.trusting(signer),
    renewal=renewal,
    refusal=RefusalFormat(
        "envelope",
        texts={"de": {"no_token": "Bitte melden Sie sich an"}},
        numbers={"insufficient_scope": 40300},
        on_refusal=on_refusal,
    ),
)
