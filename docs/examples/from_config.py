"""Sliding sessions by linqi.toml: ``linqi keygen && uvicorn from_config:app``."""

import json

from linqi.config import build, load, wrap

components = build(load("linqi.toml"))


async def api(scope, receive, send):
    """Answer two paths: /login gives a token, everything else says who called."""
    if scope["type"] == "lifespan":  # this application has nothing to start
        return
    if scope["path"] == "/login":  # check a password here
        answer = {"access_token": components.renewal.start("alice", scopes=["read"]).token}
    else:
        answer = {"user": scope["user"].identity, "scopes": scope["auth"].scopes}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


app = wrap(api, components)
