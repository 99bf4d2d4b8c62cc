"""The application under test, bare or wrapped as ``LINQI_BENCH_APP`` says, in a server's process.

``/cpu`` answers with the CPU nanoseconds that the process has used, so that it can be read from
outside on any system and for any server.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, Final

from linqi import JWTMiddleware, Key, Signer, SlidingRenewal, TrustedIssuer, VerifiedCache, Verifier
from linqi_bench.tokens import AUDIENCE, ISSUER

__all__ = ["app"]

_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY: Final = {"type": "http.response.body", "body": b"{}"}


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send(_START)
    await send(_BODY)


def _wrapped(wish: dict[str, Any]) -> Any:
    """Give the application behind linqi: its own issuer, renewal on, the default hooks."""
    logging.getLogger("linqi").setLevel(logging.ERROR)
    key = Key.from_jwk(wish["key"])
    signer = Signer(key, issuer=ISSUER, audience=AUDIENCE)
    issuer = TrustedIssuer(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=signer.keys,
        algorithms=[key.alg],
        types=("at+jwt",),
        require_type=True,
        own=True,
    )
    cache = VerifiedCache(max_entries=wish["cache_entries"], lifetime=3600)
    return JWTMiddleware(_bare, Verifier(issuer, cache=cache), renewal=SlidingRenewal(signer))


def _chosen() -> Any:
    wish = json.loads(os.environ.get("LINQI_BENCH_APP", "{}"))
    inner = _wrapped(wish) if wish else _bare

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/cpu":
            body = b"%d" % time.process_time_ns()
            headers = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await inner(scope, receive, send)

    return serve


app = _chosen()
