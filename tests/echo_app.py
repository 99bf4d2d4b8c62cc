"""An app for browser tests: dual tokens, a route that answers with what it was sent, a blank page.

``python -m echo_app PORT [CERTIFICATE KEY]`` serves on loopback; its log names the port that 0
took. ``GET /seen`` returns what arrived since the last call, whatever browser sent it.
"""

import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linqi import JWTMiddleware, Key, Person, SessionRoutes, Sessions, Signer, Verifier
from linqi.browser import FOLDER
from linqi.stores.memory import MemoryStore


class Seen:
    """Notes each request, and answers ``GET /seen`` with them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._requests: list[dict[str, object]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note a request, with the status of its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/seen":
            seen, self._requests = self._requests, []
            await JSONResponse(seen, headers={"cache-control": "no-store"})(scope, receive, send)
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        noted: dict[str, object] = {
            "method": scope["method"],
            "host": headers["host"],
            "path": f"{scope['path']}{'?' if query else ''}{query}",
            "authorization": headers.get("authorization"),
            "quiet": headers.get("x-quiet"),
            "status": 0,
        }
        self._requests.append(noted)

        async def note(message: Message) -> None:
            noted["status"] = message.get("status", noted["status"])
            await send(message)

        await self._app(scope, receive, note)


def create() -> Seen:
    """Return the app, which accepts every sign-in."""
    signer = Signer(Key.generate("ES256"), issuer="https://shop.example", audience="shop")
    sessions = Sessions(MemoryStore(), signer, b"k" * 16 + bytes(range(16)))
    verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)

    node = os.environ.get("ECHO_NODE", "")  # a folder of JavaScript to serve beside the module

    async def page(request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>blank</title>")

    async def echo(request: Request) -> Response:
        body = await request.body()
        kind = request.headers.get("content-type", "")
        answer = {"method": request.method, "kind": kind, "body": body.decode("latin-1")}
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    async def moved(request: Request) -> Response:
        return RedirectResponse(request.query_params["to"], 307)

    api = Starlette(
        routes=[
            Route("/", page),
            Route("/moved", moved, methods=["POST"]),
            Route("/echo", echo, methods=["GET", "POST", "PUT"]),
            Mount("/js", StaticFiles(directory=FOLDER)),
            *([Mount("/node", StaticFiles(directory=node))] if node else []),
        ]
    )
    routes = SessionRoutes(
        api, sessions, verifier, lambda form: Person(subject=form["username"]), throttle=None
    )
    public = [*routes.public, "/", "/moved", "/js/*", "/node/*"]
    return Seen(JWTMiddleware(routes, verifier, public=public, services=[sessions]))


if __name__ == "__main__":
    port, certificate, key = [*sys.argv[1:], None, None][:3]
    files = {"ssl_certfile": certificate, "ssl_keyfile": key}
    config = uvicorn.Config(create(), port=int(str(port)), ws="none", log_level="info", **files)
    uvicorn.Server(config).run()
