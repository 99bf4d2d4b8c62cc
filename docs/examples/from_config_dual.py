"""Dual tokens by a file: login, refresh, sign-out and revocation around a bare application."""

import hmac

from linqi import Person
from linqi.config import wrap


def authenticate(form):
    """Check a name and a password here, with a slow hash and in a thread."""
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


app = wrap(api, "sessions.toml", authenticate=authenticate)
