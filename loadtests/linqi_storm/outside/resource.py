"""An API that trusts one outside issuer, like a project that uses Auth0 or Keycloak.

``python -m linqi_storm.outside.resource --issuer URL`` serves on loopback only. ``GET /me`` needs a
token, ``GET /keys`` returns the state of the key set, ``GET /readyz`` whether it can verify tokens.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from linqi import JWTMiddleware, RemoteKeys, Verified, Verifier
from linqi_storm.outside.issuer import AUDIENCE

__all__ = ["create_resource"]

_NO_STORE: Final = {"Cache-Control": "no-store"}


def create_resource(
    issuer: str,
    *,
    audience: str = AUDIENCE,
    algorithms: tuple[str, ...] = ("ES256",),
    share: Path | None = None,
) -> ASGIApp:
    """Return the app, which verifies tokens of `issuer` with its published keys."""
    keys = RemoteKeys(issuer, algorithms, share=share)
    api = Starlette(
        routes=[
            Route("/me", _me),
            Route("/keys", functools.partial(_keys, keys)),
            Route("/readyz", functools.partial(_ready, keys)),
        ]
    )
    return JWTMiddleware(api, Verifier(keys.trust(audience)), public=["/keys", "/readyz"])


async def _me(request: Request) -> Response:
    verified: Verified = request.scope["linqi"]
    answer = {"subject": verified.subject, "key_id": verified.key_id}
    return JSONResponse(answer, headers=_NO_STORE)


async def _keys(keys: RemoteKeys, request: Request) -> Response:
    return JSONResponse({"pid": os.getpid(), **asdict(keys.state())}, headers=_NO_STORE)


async def _ready(keys: RemoteKeys, request: Request) -> Response:
    state = keys.state()
    answer = {"pid": os.getpid(), "keys": state.status}
    return JSONResponse(answer, 200 if state.is_ready else 503, headers=_NO_STORE)


def main() -> None:
    """Serve until a signal ends the process; the first line of output is the URL."""
    prog = "python -m linqi_storm.outside.resource"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--audience", default=AUDIENCE)
    parser.add_argument("--algorithms", nargs="+", default=["ES256"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--share", type=Path, help="folder in which workers share the keys")
    parser.add_argument(
        "--lazy",
        action="store_true",
        help="fetch keys for the first request, not at start",
    )
    options = parser.parse_args()
    app = functools.partial(
        create_resource,
        options.issuer,
        audience=options.audience,
        algorithms=tuple(options.algorithms),
        share=options.share,
    )
    app()  # raises for invalid settings before the socket is open
    config = uvicorn.Config(
        app,
        factory=True,
        ws="none",
        workers=options.workers,
        log_level="warning",
        timeout_graceful_shutdown=2,
        lifespan="off" if options.lazy else "auto",
    )
    with socket.create_server(("127.0.0.1", options.port), backlog=2048) as listener:
        print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
        if options.workers > 1:
            Multiprocess(config, [listener]).run()
        else:
            uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
