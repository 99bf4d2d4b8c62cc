"""An outside issuer on real sockets that fails on command.

``python -m linqi_storm.outside.issuer --port 0`` serves on loopback only. ``POST /control`` changes
its behaviour, ``POST /token`` signs a token, ``GET /counts`` returns the number of fetches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from linqi import Key, KeySet, Signer, jwks_route

__all__ = ["AUDIENCE", "create_issuer"]

AUDIENCE: Final = "linqi-demo"
_HUGE_BYTES: Final = 10 * 2**20
_HANG_SECONDS: Final = 60.0
_DISCOVERY: Final = "discovery"
_JWKS: Final = "jwks"
FAULTS: Final = (
    *("slow", "hang", "cut", "error", "redirect"),
    *("garbage", "huge", "empty", "broken_key", "wrong_issuer"),
)


@dataclass(slots=True)
class _Fault:
    """The fault of one of the two documents; an empty kind is none."""

    kind: str = ""
    seconds: float = 0.0


def create_issuer(issuer: str, *, alg: str = "ES256", max_age: int = 300) -> Starlette:
    """Return the app of the issuer `issuer`, with one new key for `alg`."""
    return _Issuer(issuer, alg, max_age).routed()


class _Issuer:
    def __init__(self, issuer: str, alg: str, max_age: int) -> None:
        self._issuer = issuer
        self._alg = alg
        self._keys = KeySet([Key.generate(alg)])
        self._signing = self._keys.keys[0]
        self._published = jwks_route(self._keys, max_age=max_age)
        self._faults = {_DISCOVERY: _Fault(), _JWKS: _Fault()}
        self._counts: Counter[str] = Counter()
        self._withdrawn: dict[str, Key] = {}

    def routed(self) -> Starlette:
        """Return the routes as a Starlette application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", _Faulty(self, _DISCOVERY, self.about)),
                Route("/jwks.json", _Faulty(self, _JWKS, self._published)),
                Route("/token", self.token, methods=["POST"]),
                Route("/control", self.control, methods=["POST"]),
                Route("/counts", self.counts),
            ]
        )

    async def serve(self, name: str, app: ASGIApp, *asgi: Any) -> None:
        """Serve the document `name` by `app`, or its fault."""
        self._counts[name] += 1
        fault = self._faults[name]
        if fault.kind in ("slow", "hang"):
            await asyncio.sleep(fault.seconds or _HANG_SECONDS)
        await (self._faulty_answer(fault.kind) or app)(*asgi)

    def _faulty_answer(self, kind: str) -> ASGIApp | None:
        match kind:
            case "error":
                return PlainTextResponse("broken", 500)
            case "garbage":
                return PlainTextResponse("<html>\x00 this is not a key set", 200)
            case "huge":
                return PlainTextResponse('{"keys": [' + " " * _HUGE_BYTES + "]}")
            case "redirect":
                return RedirectResponse(f"{self._issuer}/jwks.json?again")
            case "empty":
                return JSONResponse({"keys": []})
            case "broken_key":
                broken = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "broken", "x": "AA"}
                return JSONResponse({"keys": [broken, *self._keys.public_jwks()["keys"]]})
            case "wrong_issuer":
                return JSONResponse(
                    {"issuer": self._issuer + "/", "jwks_uri": f"{self._issuer}/jwks.json"}
                )
            case "cut":
                return _cut
        return None

    async def about(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the discovery document."""
        document = {
            "issuer": self._issuer,
            "jwks_uri": f"{self._issuer}/jwks.json",
            "id_token_signing_alg_values_supported": [self._alg],
        }
        await JSONResponse(document)(scope, receive, send)

    async def token(self, request: Request) -> Response:
        """Sign a token with the claims in the body, with the key ``kid`` if the body names one."""
        wanted = await request.json()
        kid = wanted.get("kid")
        known = {key.kid: key for key in self._keys.keys} | self._withdrawn
        key = self._signing if kid is None else known[kid]
        now = int(time.time())
        claims = {"sub": "alice", "iat": now, "exp": now + 900} | wanted.get("claims", {})
        signer = Signer(key, issuer=self._issuer, audience=wanted.get("audience", AUDIENCE))
        return JSONResponse({"token": signer.sign(claims), "kid": key.kid})

    async def control(self, request: Request) -> Response:
        """Execute the body's ``{"do": "publish" | "sign" | "rotate" | "remove" | "fault"}``.

        ``publish`` adds a key, ``sign`` makes the newest key sign, ``rotate`` does both at once,
        without overlap. ``remove`` withdraws the key ``kid``. ``fault`` sets ``kind`` (or none)
        ``at`` one document or both.
        """
        wanted = await request.json()
        match wanted.get("do"):
            case "publish":
                self._keys.add(Key.generate(self._alg))
            case "sign":
                self._signing = self._keys.keys[-1]
            case "rotate":
                self._signing = Key.generate(self._alg)
                self._keys.add(self._signing)
            case "remove":
                gone = {key.kid: key for key in self._keys.keys}[wanted["kid"]]
                self._withdrawn[gone.kid] = gone
                self._keys.remove(gone.kid)
                self._signing = self._keys.keys[-1]
            case "fault" if wanted.get("kind", "") in ("", *FAULTS):
                for name in [wanted["at"]] if "at" in wanted else [_DISCOVERY, _JWKS]:
                    self._faults[name] = _Fault(wanted.get("kind", ""), wanted.get("seconds", 0))
            case _:
                return JSONResponse({"error": "unknown command"}, 400)
        answer: dict[str, Any] = {
            "kids": [key.kid for key in self._keys.keys],
            "signing": self._signing.kid,
        }
        return JSONResponse(answer)

    async def counts(self, request: Request) -> Response:
        """Answer with the number of fetches of each document."""
        return JSONResponse({name: self._counts[name] for name in (_DISCOVERY, _JWKS)})


class _Faulty:
    """A document as an ASGI app: Starlette treats only a non-function as one."""

    def __init__(self, issuer: _Issuer, name: str, app: ASGIApp) -> None:
        self._issuer, self._name, self._app = issuer, name, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._issuer.serve(self._name, self._app, scope, receive, send)


async def _cut(scope: Scope, receive: Receive, send: Send) -> None:
    """Declare a longer body than is sent."""
    headers = [(b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"keys": [', "more_body": True})
    raise ConnectionError("cut on purpose")


def main() -> None:
    """Serve until a signal ends the process; the first line of output is the issuer's URL."""
    prog = "python -m linqi_storm.outside.issuer"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--alg", default="ES256")
    parser.add_argument("--max-age-seconds", type=int, default=300)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", options.port), backlog=2048) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_issuer(url, alg=options.alg, max_age=options.max_age_seconds)
        print(json.dumps({"issuer": url}), flush=True)
        config = uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
