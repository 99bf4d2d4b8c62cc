"""linqi around a bare ASGI callable."""

import time

from linqi import (
    JWTMiddleware,
    Key,
    KeySet,
    Signer,
    SlidingRenewal,
    TrustedIssuer,
    Verified,
    VerifiedCache,
    Verifier,
)
from rivals.apps import _asgi
from rivals.apps._asgi import answer
from rivals.material import CACHED, KID, TENANT, USER, Material

bare = _asgi.bare


async def _me(scope, receive, send):
    if scope["type"] != "http":
        return
    user = scope["user"]
    if scope["path"] == "/tenant" and user.claims["tenant"] != TENANT:
        await answer(send, {}, 403)
        return
    await answer(send, {"sub": user.identity})


def verifier(material: Material) -> Verifier:
    """Return a verifier whose cache keeps every token of a measurement until it ends."""
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
    return Verifier(trusted, cache=VerifiedCache(CACHED, lifetime=600))


def decoder(material: Material):
    """Return `Verifier.verify` with its cache, and the claims, decoded on demand."""
    verify = verifier(material).verify
    return lambda token: verify(token).claims


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
            await answer(send, {"access_token": token})
            return
        if scope["path"] == "/revoke":
            revoked.add(scope["user"].session_id)
        await answer(send, {"sub": scope["user"].identity})

    verifier = Verifier.trusting(signer, is_revoked=is_revoked)
    renewal = SlidingRenewal(signer, is_revoked=is_revoked)
    return JWTMiddleware(app, verifier, renewal=renewal, public=["/login"])
