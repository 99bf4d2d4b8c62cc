"""An app with dual tokens: login, refresh, sign-out and revocation, on any store.

``python -m linqi_storm.serve.dual --data DIR --store sqlite:PATH`` serves on loopback only.
Several processes with the same data folder and store are the workers of one service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from linqi import (
    JWTMiddleware,
    RenewalSettings,
    SessionRoutes,
    Sessions,
    SessionSettings,
    Signer,
    Verified,
    Verifier,
)
from linqi.stores.store_url import open_store
from linqi_storm.serve.data_folder import open_data_folder, refresh_keys
from linqi_storm.serve.server import PASSWORD_VARIABLE

__all__ = ["create_dual"]

_NO_STORE: Final = {"Cache-Control": "no-store"}


def create_dual(
    data: Path,
    store_url: str,
    *,
    issuer: str = "https://issuer.linqi.example",
    audience: str = "linqi-demo",
    settings: SessionSettings | None = None,
    access: RenewalSettings | None = None,
    password: str | None = None,
) -> ASGIApp:
    """Return the app with the keys and users in the folder `data`, created if missing."""
    prepared = open_data_folder(data, password=password)
    signer = Signer(prepared.key_file.keys, issuer=issuer, audience=audience)
    sessions = Sessions(
        open_store(store_url),
        signer,
        refresh_keys(data),
        settings=settings,
        access=access,
    )
    verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
    api = _Api(sessions)
    authenticate = prepared.users.authenticate
    routes = SessionRoutes(api.routed(), sessions, verifier, authenticate, throttle=None)
    return JWTMiddleware(
        routes,
        verifier,
        public=[*routes.public, "/healthz", "/state"],
        services=[sessions, prepared.key_file],
    )


class _Api:
    """The application's own routes, and one with its state for tests."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routed(self) -> Starlette:
        """Return the routes as a Starlette application."""
        return Starlette(
            routes=[
                Route("/me", self.me),
                Route("/healthz", self.healthz),
                Route("/state", self.state),
            ]
        )

    async def me(self, request: Request) -> Response:
        """Answer with the caller's verified claims."""
        verified: Verified = request.scope["linqi"]
        answer = {"subject": verified.subject, "session_id": verified.session_id}
        return JSONResponse(answer, headers=_NO_STORE)

    async def healthz(self, request: Request) -> Response:
        """Answer that the process serves."""
        return JSONResponse({"pid": os.getpid(), "time": time.time()}, headers=_NO_STORE)

    async def state(self, request: Request) -> Response:
        """Answer with the state of the revocation feed and the number of tasks.

        The age is -1 before the first update of the feed.
        """
        state = asdict(self._sessions.revocations.state())
        state["tasks"] = len(asyncio.all_tasks())
        state["age"] = -1 if state["age"] == float("inf") else state["age"]
        return JSONResponse(state, headers=_NO_STORE)


def main() -> None:
    """Serve until a signal ends the process; the first line of output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m linqi_storm.serve.dual", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", required=True, help="sqlite:PATH, valkey:// or postgresql://")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--grace-seconds", type=float, default=10)
    parser.add_argument("--lifetime-seconds", type=float, default=900)
    parser.add_argument("--buffer-seconds", type=float, default=300)
    options = parser.parse_args()
    app = create_dual(
        options.data,
        options.store,
        settings=SessionSettings(grace=options.grace_seconds, most_sessions=1000),
        access=RenewalSettings(lifetime=options.lifetime_seconds, buffer=options.buffer_seconds),
        password=os.environ.get(PASSWORD_VARIABLE) or None,
    )
    config = uvicorn.Config(app, ws="none", log_level="warning", timeout_graceful_shutdown=2)
    with socket.create_server(("127.0.0.1", options.port), backlog=2048) as listener:
        print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
