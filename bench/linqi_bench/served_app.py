"""The application under test, as ``LINQI_BENCH_APP`` says, in a server's process.

Bare, behind linqi (``guarded``), or bare but for one thing: the SHA-256 of the token (``hashing``)
or the check of a signature (``checking``), which say what that takes between a server's other work.

``/cpu`` answers with the CPU nanoseconds that the process has used, so that it can be read from
outside on any system and for any server.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import time
from typing import Any, Final

from linqi import JWTMiddleware, Key, Signer, SlidingRenewal, TrustedIssuer, VerifiedCache, Verifier
from linqi_bench.tokens import AUDIENCE, ISSUER, Case

__all__ = ["app"]

_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY: Final = {"type": "http.response.body", "body": b"{}"}
_CHECKS: Final = 256


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await send(_START)
    await send(_BODY)


def _hashing() -> Any:
    """Return an application that takes the SHA-256 of the token: less than any guard does."""
    sha256 = hashlib.sha256

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"authorization":
                sha256(value[7:]).digest()
        await send(_START)
        await send(_BODY)

    return serve


def _checking(name: str) -> Any:
    """Return an application that checks a prepared signature in each request."""
    case = Case.of(name)
    checks = itertools.cycle([case.raw([token]) for token in case.tokens(_CHECKS)])

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        next(checks)()
        await send(_START)
        await send(_BODY)

    return serve


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _guarded(key: Key, cache_entries: int) -> Any:
    """Return the application behind linqi: its own issuer, renewal on, the default hooks."""
    logging.getLogger("linqi").setLevel(logging.ERROR)
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
    cache = VerifiedCache(max_entries=cache_entries, lifetime=3600)
    return JWTMiddleware(_bare, Verifier(issuer, cache=cache), renewal=SlidingRenewal(signer))


def _chosen() -> Any:
    options = json.loads(os.environ.get("LINQI_BENCH_APP", "{}"))
    match options.get("app", "bare"):
        case "guarded":
            inner = _guarded(Key.from_jwk(options["key"]), options["cache_entries"])
        case "checking":
            inner = _checking(options["name"])
        case "hashing":
            inner = _hashing()
        case _:
            inner = _bare

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
