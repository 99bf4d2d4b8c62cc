"""An application whose events are logged as JSON lines."""

from linqi import JWTMiddleware, Key, KeySet, LoggingHook, Signer, SlidingRenewal, Verifier

signer = Signer(KeySet([Key.generate("ES256")]), issuer="https://shop.example", audience="shop")


async def shop(scope, receive, send):
    """Answer every guarded request."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


app = JWTMiddleware(
    shop,
    Verifier.trusting(signer),
    renewal=SlidingRenewal(signer),
    hooks=[LoggingHook(json=True)],
)
