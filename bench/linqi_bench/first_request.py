"""A fresh process until its first request or the end of a command: prints what it took as JSON.

The library is imported inside the functions, so that each process loads its own alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

__all__: list[str] = []


def _decode(issuer: str, audience: str, key: str, algorithm: str, token: str) -> None:
    """Decode `token` by PyJWT, as a program does that calls it for its first request."""
    import jwt

    claims = jwt.decode(token, key, algorithms=[algorithm], audience=audience, issuer=issuer)
    assert claims["sub"]


def _request(issuer: str, audience: str, key: str, algorithm: str, token: str) -> None:
    """Send `token` through a `JWTMiddleware` on an event loop."""
    from linqi import JWTMiddleware, Key, KeySet, TrustedIssuer, Verifier

    if key.startswith("{"):
        made = Key.from_jwk(key)
    else:
        made = (Key.from_pem if "BEGIN" in key else Key.from_secret)(key, algorithm)
    trusted = TrustedIssuer(
        issuer=issuer, audience=audience, keys=KeySet([made]), algorithms=[algorithm]
    )
    _serve(JWTMiddleware(_app, Verifier(trusted)), token)


def _renewing(issuer: str, audience: str, key: str, algorithm: str, _: str) -> None:
    """Send the first token of a new session through a `JWTMiddleware` that renews."""
    from linqi import JWTMiddleware, Key, Signer, SlidingRenewal, Verifier

    signer = Signer(Key.from_secret(key, algorithm), issuer=issuer, audience=audience)
    renewal = SlidingRenewal(signer)
    middleware = JWTMiddleware(_app, Verifier.trusting(signer), renewal=renewal)
    _serve(middleware, renewal.start("alice").token)


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in" if scope["linqi"].subject else b""})


def _worker(issuer: str, audience: str, key: str, algorithm: str, token: str) -> None:
    """Serve `token` by uvicorn through a `JWTMiddleware`."""
    from linqi import JWTMiddleware, Key, KeySet, TrustedIssuer, Verifier

    keys = KeySet([Key.from_jwk(key)])
    trusted = TrustedIssuer(issuer=issuer, audience=audience, keys=keys, algorithms=[algorithm])
    _serve_by_uvicorn(JWTMiddleware(_app, Verifier(trusted)), token)


def _bare_worker(token: str) -> None:
    """Serve the same request by uvicorn without linqi."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _app({"linqi": _Anyone}, receive, send)

    _serve_by_uvicorn(app, token)


class _Anyone:
    subject = "alice"


def _serve_by_uvicorn(app: Any, token: str) -> None:
    """Serve one request on a socket, sent from the same process."""
    import asyncio

    import uvicorn

    config = uvicorn.Config(app, port=0, lifespan="off", log_level="warning")

    async def serve() -> bytes:
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = ("GET / HTTP/1.1", "host: a", f"authorization: Bearer {token}", "connection: close")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = await reader.read()
        writer.close()
        server.should_exit = True
        await serving
        return answer

    assert b" 200 OK" in asyncio.run(serve())


def _command(folder: str, *words: str) -> None:
    """Run a command of ``linqi`` whose logins are saved below `folder`."""
    os.environ["XDG_STATE_HOME"] = folder
    from linqi.cli import main

    with contextlib.redirect_stdout(io.StringIO()):
        try:
            code: object = main(words)
        except SystemExit as end:  # of --help
            code = end.code
    assert code in (0, 1), code  # 1: `check` has findings


def _plain_command(*words: str) -> None:
    """Find commands by entry points and parse `words`, as the least that such a program does."""
    import argparse
    import importlib.metadata

    parser = argparse.ArgumentParser("plain")
    for entry in importlib.metadata.entry_points(group="console_scripts"):
        parser.add_argument(f"--{entry.name}", help=entry.value)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        parser.parse_args(words)


def _serve(middleware: Any, token: str) -> None:
    """Send one request through `middleware`, and check that the application answered it."""
    import asyncio

    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"authorization", b"Bearer " + token.encode())],
    }
    asyncio.run(middleware(scope, receive, send))
    assert sent[1]["body"] == b"in", sent


if __name__ == "__main__":
    ways: dict[str, Callable[..., None]] = {
        "decode": _decode,
        "request": _request,
        "renewing": _renewing,
        "worker": _worker,
        "bare worker": _bare_worker,
        "command": _command,
        "plain command": _plain_command,
    }
    ways[sys.argv[1]](*sys.argv[2:])
    cpu, modules = time.process_time(), sorted(sys.modules)
    from linqi_report.process_memory import resident_bytes

    sys.stdout.write(json.dumps([cpu * 1e3, resident_bytes() / 1e6, modules]))
