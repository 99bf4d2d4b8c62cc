"""A bare ASGI application behind linqi: sign in, call it, and get a successor near expiry."""

import json

from linqi import JWTMiddleware, KeySet, Signer, SlidingRenewal, Verifier

keys = KeySet.load_or_create("keys.json", "ES256")  # made once, whichever worker comes first
signer = Signer(keys, issuer="https://shop.example", audience="shop")
renewal = SlidingRenewal(signer)


async def api(scope, receive, send):
    """Answer two paths: /login gives a token, everything else says who called."""
    if scope["type"] == "lifespan":  # this application has nothing to start
        return
    if scope["path"] == "/login":  # check a password here
        answer = {"access_token": renewal.start("alice", scopes=["read"]).token}
    else:
        answer = {"user": scope["user"].identity, "scopes": scope["auth"].scopes}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


app = JWTMiddleware(api, Verifier.trusting(signer), renewal=renewal, public=["/login"])
