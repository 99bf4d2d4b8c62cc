"""An AWS Application Load Balancer for tests: its tokens, and the server of its keys."""

import asyncio
import base64
import json
from typing import Any

from linqi import Key
from tokens import NOW

SIGNER = (
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188"
)
OTHER_SIGNER = SIGNER.replace("123456789012", "999999999999")
ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool"
CLIENT = "1nor0ksm08krqn8kepg1eaa4uf"
KID = "7e5e83e9-6f4b-4070-b64b-443ebae49b73"


def padded(data: bytes) -> bytes:
    """Return base64url with padding, as load balancers write it."""
    return base64.urlsafe_b64encode(data)


def alb_token(
    key: Key,
    *,
    header: dict[str, Any] | None = None,
    payload: dict[str, Any] | None = None,
    encode: Any = padded,
) -> str:
    """Return a token as a load balancer makes it; a member that is ... is left out.

    The members and their order are those of published tokens of Cognito behind a load balancer:
    ``iss`` and ``exp`` are in the header and in the payload, and the signature covers the padding.
    """
    expires = int(NOW) + 120
    head = {
        "typ": "JWT",
        "kid": key.kid,
        "alg": "ES256",
        "iss": ISSUER,
        "client": CLIENT,
        "signer": SIGNER,
        "exp": expires,
    } | (header or {})
    body = {
        "sub": "21f782e8-6bd2-4363-9134-0ce990b8c873",
        "email_verified": "true",
        "email": "alice@shop.example",
        "username": "alice",
        "exp": expires,
        "iss": ISSUER,
    } | (payload or {})
    segments = [
        encode(json.dumps({n: v for n, v in part.items() if v is not ...}).encode())
        for part in (head, body)
    ]
    signed = b".".join(segments)
    return (signed + b"." + encode(key.sign(signed))).decode()


class KeyServer:
    """An ASGI server of ``/KID``, with the media type of AWS; what is not there is `missing`."""

    def __init__(self, *keys: Key, missing: int = 403) -> None:
        self.documents = {key.kid: key.public_pem() for key in keys}
        self.missing = missing
        self.asked: list[str] = []
        self.status = 0
        self.gate: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        kid = scope["path"].removeprefix("/")
        self.asked.append(kid)
        if self.gate is not None:
            await self.gate.wait()
        status = self.status or (200 if kid in self.documents else self.missing)
        body = self.documents.get(kid, "<Error><Code>AccessDenied</Code></Error>")
        start = {"type": "http.response.start", "status": status}
        await send(start | {"headers": [(b"content-type", b"binary/octet-stream")]})
        await send({"type": "http.response.body", "body": body.encode()})
