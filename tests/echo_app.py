"""An app for browser tests: dual tokens, a route that answers with what it was sent, a blank page.

``python -m echo_app PORT`` serves on loopback; its log names the port that 0 took.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from linqi import JWTMiddleware, Key, Person, SessionRoutes, Sessions, Signer, Verifier
from linqi.browser import FOLDER
from linqi.stores.memory import MemoryStore


def create() -> JWTMiddleware:
    """Return the app, which accepts every sign-in."""
    signer = Signer(Key.generate("ES256"), issuer="https://shop.example", audience="shop")
    sessions = Sessions(MemoryStore(), signer, b"k" * 16 + bytes(range(16)))
    verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)

    async def page(request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>blank</title>")

    async def echo(request: Request) -> Response:
        body = await request.body()
        kind = request.headers.get("content-type", "")
        answer = {"method": request.method, "kind": kind, "body": body.decode("latin-1")}
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    api = Starlette(
        routes=[
            Route("/", page),
            Route("/echo", echo, methods=["GET", "POST", "PUT"]),
            Mount("/js", StaticFiles(directory=FOLDER)),
        ]
    )
    routes = SessionRoutes(
        api, sessions, verifier, lambda form: Person(subject=form["username"]), throttle=None
    )
    public = [*routes.public, "/", "/js/*"]
    return JWTMiddleware(routes, verifier, public=public, services=[sessions])


if __name__ == "__main__":
    config = uvicorn.Config(create(), port=int(sys.argv[1]), ws="none", log_level="info")
    uvicorn.Server(config).run()
