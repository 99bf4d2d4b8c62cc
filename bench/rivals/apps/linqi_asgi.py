"""linqi around a bare ASGI callable."""

import json
import time

from linqi import (
    JWTMiddleware,
    Key,
    KeySet,
    Signer,
    SlidingRenewal,
    TrustedIssuer,
    Verified,
    Verifier,
)
from rivals.material import KID, USER, Material

_HEADERS = [(b"content-type", b"application/json")]


async def _serve(send, answer):
    body = json.dumps(answer).encode()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


async def _anyone(scope, receive, send):
    if scope["type"] == "http":
        await _serve(send, {"sub": USER})


async def _me(scope, receive, send):
    if scope["type"] == "http":
        await _serve(send, {"sub": scope["user"].identity})


def verifier(material: Material) -> Verifier:
    """Return a verifier with the default cache."""
    if material.secret:
        key = Key.from_secret(material.secret, material.alg, kid=KID)
    else:
        key = Key.from_pem(material.public_pem, material.alg, kid=KID)
    trusted = TrustedIssuer(
        issuer=material.issuer,
        audience=material.audience,
        keys=KeySet([key]),
        algorithms=material.algorithms,
        required_claims=["sub"],
    )
    return Verifier(trusted)


def decoder(material: Material):
    """Return `Verifier.verify` with the default cache, and the claims, decoded on demand."""
    verify = verifier(material).verify
    return lambda token: verify(token).claims


def bare():
    """Return the application without a guard."""
    return _anyone


def guarded(material: Material) -> JWTMiddleware:
    """Return the guarded application."""
    return JWTMiddleware(_me, verifier(material))


def renewing(material: Material) -> JWTMiddleware:
    """Return an application that issues tokens near expiry at sign-in, and revokes at sign-out."""
    make = Key.from_secret if material.secret else Key.from_pem
    key = make(material.signs_with, material.alg, kid=KID)
    signer = Signer(key, issuer=material.issuer, audience=material.audience)
    revoked: set[str] = set()

    def is_revoked(verified: Verified) -> bool:
        return verified.session_id in revoked

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        if scope["path"] == "/login":
            now = int(time.time())
            session = {"sid": "one", "jti": "one", "auth_time": now, "session_end": now + 3600}
            token = signer.sign({"sub": USER, "iat": now, "exp": now + 200, **session})
            await _serve(send, {"access_token": token})
            return
        if scope["path"] == "/revoke":
            revoked.add(scope["user"].session_id)
        await _serve(send, {"sub": scope["user"].identity})

    verifier = Verifier.trusting(signer, is_revoked=is_revoked)
    renewal = SlidingRenewal(signer, is_revoked=is_revoked)
    return JWTMiddleware(app, verifier, renewal=renewal, public=["/login"])
