"""An API whose tokens are opaque: their issuer is asked about them."""

import os
from pathlib import Path

from linqi import Introspection, IntrospectionSettings, JWTMiddleware, Verifier

issuer = Introspection(
    "https://id.example",
    url="https://id.example/oauth2/introspect",
    client_id="orders-api",
    client_secret=Path(os.environ.get("INTROSPECTION_SECRET", "introspection_secret")),
    settings=IntrospectionSettings(trust_seconds=60),
)


async def api(scope, receive, send):
    """Return who calls."""
    if scope["type"] == "lifespan":
        return
    body = f"hello {scope['linqi'].subject}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(api, Verifier(issuer.trust("orders-api", required_claims=["client_id"])))
