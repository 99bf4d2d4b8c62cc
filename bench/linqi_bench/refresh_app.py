"""An application with the session routes on a store, with everything that is on by default."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from linqi import JWTMiddleware, Key, Revocations, SessionRoutes, Sessions, Signer, Verifier
from linqi.stores.store_url import open_store
from linqi_bench.tokens import AUDIENCE, ISSUER

__all__ = ["refreshing", "sign_in"]

_AT_ONCE: Final = 100
"""Sign-ins at once: none of them waits until its time limit, on a busy machine either."""


def refreshing(inner: Any, *, store: str, key: Any, secret: Any, **_: Any) -> JWTMiddleware:
    """Return `inner` behind the session routes and the middleware, as `linqi.config` wires them.

    Args:
        inner: Serves the other paths.
        store: The store's URL.
        key: The signing key, as a JWK.
        secret: The secret of refresh tokens, as a JWK.

    """
    sessions, verifier = _service(store, key, secret)
    routes = SessionRoutes(inner, sessions, verifier, lambda form: None)
    return JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])


async def sign_in(count: int, *, store: str, key: Any, secret: Any) -> list[str]:
    """Start `count` sessions on the store, each of another subject; return their refresh tokens."""
    sessions, _ = _service(store, key, secret)
    await sessions.start()
    tokens = []
    try:
        for first in range(0, count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, count))
            pairs = await asyncio.gather(
                *[
                    sessions.sign_in(f"person-{number}", scopes=["read", "write"], device="bench")
                    for number in numbers
                ]
            )
            tokens += [pair.refresh_token for pair in pairs]
    finally:
        await sessions.close()
    return tokens


def _service(url: str, key: Any, secret: Any) -> tuple[Sessions, Verifier]:
    store = open_store(url)
    signer = Signer(Key.from_jwk(key), issuer=ISSUER, audience=AUDIENCE)
    revocations = Revocations(store)
    verifier = Verifier.trusting(signer, is_revoked=revocations.is_revoked)
    sessions = Sessions(
        store,
        signer,
        Key.from_jwk(secret),
        revocations=revocations,
        on_issue=verifier.cache_issued,
    )
    return sessions, verifier
