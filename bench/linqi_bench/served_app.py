"""The application under test, as ``LINQI_BENCH_APP`` says, in a server's process.

On ASGI alone or in FastAPI (``framework``); bare, behind linqi (``guarded``), or bare but for one
thing: the SHA-256 of the token (``hashing``) or the check of a signature (``checking``), which say
what that takes between a server's other work.

``/reading`` answers with the CPU time that the process has used and the requests that the
application has answered, so that they can be read from outside on any system and for any server.
It imports nothing of this package but for ``checking`` and ``refreshing``: the linqi of another
environment can be served too.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import random
import time
from pathlib import Path
from typing import Any, Final

from linqi import JWTMiddleware, Key, Signer, SlidingRenewal, TrustedIssuer, VerifiedCache, Verifier

__all__ = ["app"]

_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY: Final = {"type": "http.response.body", "body": b"{}"}
_CHECKS: Final = 256
_MOST_BYTES: Final = 2**30


class _Served:
    """An application, what it has answered, and the cache of its guard."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.answered = 0
        self._forgets = options.get("forgets", False)
        self._cache: VerifiedCache | None = None
        inner = self._fastapi() if options.get("framework") == "fastapi" else self._asgi
        match options.get("app", "bare"):
            case "guarded":
                self._inner = self._guarded(inner, options)
            case "checking":
                self._inner = _checking(inner, options["name"])
            case "hashing":
                self._inner = _hashing(inner)
            case "refreshing":
                from linqi_bench.refresh_app import refreshing

                self._inner = refreshing(inner, **options)
            case _:
                self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["path"] == "/reading":
            await self._read(send)
        else:
            await self._inner(scope, receive, send)

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.answered += 1
        await send(_START)
        await send(_BODY)

    def _fastapi(self) -> Any:
        from fastapi import FastAPI

        app = FastAPI()

        @app.get("/orders/{number}")
        async def order(number: int) -> dict[str, int]:
            self.answered += 1
            return {"number": number}

        return app

    def _guarded(self, inner: Any, options: dict[str, Any]) -> Any:
        """Return `inner` behind linqi: its own issuer, renewal on, the default hooks.

        The tokens of a file are in the cache from the start, entered in an order of their own:
        entries that lie side by side in memory as they are asked for would be found too quickly.
        """
        logging.getLogger("linqi").setLevel(logging.ERROR)
        key = Key.from_jwk(options["key"])
        names = {"issuer": options["issuer"], "audience": options["audience"]}
        signer = Signer(key, **names)
        issuer = TrustedIssuer(
            **names,
            keys=signer.keys,
            algorithms=[key.alg],
            types=("at+jwt",),
            require_type=True,
            own=True,
        )
        self._cache = VerifiedCache(options["cache_entries"], _MOST_BYTES, lifetime=3600)
        verifier = Verifier(issuer, cache=self._cache)
        parts: dict[str, Any] = {"verifier": verifier, "renewal": SlidingRenewal(signer)}
        if options.get("framework") == "fastapi":
            inner.add_middleware(JWTMiddleware, **parts)
            inner.middleware_stack = inner.build_middleware_stack()  # as its first call would
            guarded: Any = inner
        else:
            guarded = JWTMiddleware(inner, **parts)
        if "cached" in options:  # after the middleware, which sets the times of renewal
            values = [b"Bearer " + line for line in Path(options["cached"]).read_bytes().split()]
            random.Random(20).shuffle(values)
            for value in values:
                verifier.verify(value[7:])
        return guarded

    async def _read(self, send: Any) -> None:
        reading = {"cpu_ns": time.process_time_ns(), "answered": self.answered}
        if self._cache is not None:
            info = self._cache.info()
            reading |= {"hits": info.hits, "misses": info.misses}
            if self._forgets:
                self._cache.clear()
        body = json.dumps(reading).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _hashing(inner: Any) -> Any:
    """Return an application that takes the SHA-256 of the token: less than any guard does."""
    sha256 = hashlib.sha256

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope["headers"]:
            if name == b"authorization":
                sha256(value[7:]).digest()
        await inner(scope, receive, send)

    return serve


def _checking(inner: Any, name: str) -> Any:
    """Return an application that checks a prepared signature in each request."""
    from linqi_bench.tokens import Case

    case = Case.of(name)
    checks = itertools.cycle([case.raw([token]) for token in case.tokens(_CHECKS)])

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        next(checks)()
        await inner(scope, receive, send)

    return serve


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


app = _Served(json.loads(os.environ.get("LINQI_BENCH_APP", "{}")))
