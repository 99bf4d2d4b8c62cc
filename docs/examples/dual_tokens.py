"""Dual tokens on SQLite: login, refresh, sign-out and revocation around a bare ASGI application."""

import asyncio
import hmac

from linqi import (
    JWTMiddleware,
    KeySet,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    SQLiteStore,
    Verifier,
)


async def authenticate(form):
    """Check a name and a password here, with a slow hash and in a thread."""
    await asyncio.sleep(0)
    is_right = hmac.compare_digest(form["password"].encode(), b"correct horse")
    if is_right and form["username"] == "alice":
        return Person(subject="alice", scopes=["read"])
    return None


async def api(scope, receive, send):
    """Answer who called."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["user"].identity.encode()})


keys = KeySet.load_or_create("keys.json", "ES256")  # made once, whichever worker comes first
secrets = KeySet.load_or_create("refresh.json", "HS256")
signer = Signer(keys, issuer="https://shop.example", audience="shop")
sessions = Sessions(SQLiteStore("sessions.db"), signer, secrets.keys)
verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
routes = SessionRoutes(api, sessions, verifier, authenticate, origins=["https://shop.example"])
app = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])
