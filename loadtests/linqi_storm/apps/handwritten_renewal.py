"""A typical hand-written renewal, for comparison: every request near expiry signs a successor.

It verifies and signs with PyJWT on the event loop, without a cache, and each successor is a token
of its own. Do not copy it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import jwt
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linqi import Key

__all__ = ["HandwrittenRenewal"]


class HandwrittenRenewal:
    """Verifies every token, and signs a successor when less than `buffer` seconds are left.

    `on_sign` is called for every signature.
    """

    def __init__(
        self,
        app: ASGIApp,
        key: Key,
        *,
        issuer: str,
        audience: str,
        lifetime: float,
        buffer: float,
        on_sign: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        jwk = jwt.PyJWK(key.private_jwk(), key.alg)
        is_secret = key.kty == "oct"
        self._signing = jwk.key
        self._verifying = jwk.key if is_secret else jwk.key.public_key()
        self._key = key
        self._issuer, self._audience = issuer, audience
        self._lifetime, self._buffer = lifetime, buffer
        self._on_sign = on_sign
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        claims = self._verify(dict(scope["headers"]).get(b"authorization", b""))
        if claims is None:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_renewed(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = self._clock()
                if claims["exp"] - now < self._buffer:
                    successor = self._sign(claims, now)
                    headers = [*message["headers"], (b"x-refresh-token", successor)]
                    message = {**message, "headers": headers}
            await send(message)

        await self._app({**scope, "claims": claims}, receive, send_renewed)

    def _verify(self, header: bytes) -> dict[str, float] | None:
        try:
            claims: dict[str, float] = jwt.decode(
                header.partition(b" ")[2],
                self._verifying,
                algorithms=[self._key.alg],
                issuer=self._issuer,
                audience=self._audience,
                leeway=1,
            )
        except jwt.InvalidTokenError:
            return None
        # PyJWT rounds ``exp`` down, hence the leeway; a compressed run needs the fractions.
        return claims if self._clock() < claims["exp"] else None

    def _sign(self, claims: dict[str, float], now: float) -> bytes:
        self._on_sign()
        times = {"iat": now, "exp": now + self._lifetime}
        renewed = {**claims, **times, "jti": secrets.token_hex(8)}
        headers = {"kid": self._key.kid, "typ": "at+jwt"}
        return jwt.encode(renewed, self._signing, self._key.alg, headers).encode("ascii")
