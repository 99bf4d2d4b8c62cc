"""An application with the session routes, which notes what reaches its password check.

``uvicorn login_app:app`` with STORE, SECRET (64 hex digits) and NOTES (a file) in the environment;
COUNTED may name another place for the counters than the store's.
Several of them with the same are the workers of one service. As a program it guesses by itself:
``python login_app.py RATE`` does so in its own process, without a socket, until it is ended.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from linqi import (
    JWTMiddleware,
    Key,
    LoginThrottle,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    Verifier,
    open_attempts,
)
from linqi.stores.store_url import open_store

SECRET = bytes.fromhex(os.environ["SECRET"])
NOTES = Path(os.environ["NOTES"])
PAUSE = float(os.environ.get("PAUSE", "0.02"))
LOGIN_SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/login",
    "raw_path": b"/login",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
}


def note(name: str) -> None:
    """Write one line, whole beside other writers."""
    with NOTES.open("a") as notes:
        notes.write(name + "\n")


async def authenticate(form: Any) -> Person | None:
    """Let everybody with the right password in, after a while."""
    note(form["username"])
    await asyncio.sleep(PAUSE)
    return Person(subject=form["username"]) if form["password"] == "right" else None


async def api(scope: Any, receive: Any, send: Any) -> None:
    """Answer that the process serves."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


signer = Signer(Key.from_secret(SECRET), issuer="https://shop.example", audience="shop")
sessions = Sessions(open_store(os.environ["STORE"]), signer, SECRET[::-1])
verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
counted = os.environ.get("COUNTED")
throttle = LoginThrottle(storage=open_attempts(counted) if counted else None)
routes = SessionRoutes(api, sessions, verifier, authenticate, throttle=throttle)
app = JWTMiddleware(routes, verifier, public=[*routes.public, "/here"], services=[sessions])


async def guess(number: int) -> None:
    """Try a new name from a new address: the attempt that costs the counters most."""
    body = json.dumps({"username": secrets.token_hex(8), "password": "wrong"}).encode()
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    scope = LOGIN_SCOPE | {"client": (address, 1)}

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


async def guess_at(rate: float) -> None:
    """Begin `rate` guesses a second; print how many ended after each hundred."""
    await sessions.start()
    done, running = 0, set()
    while True:
        began = time.monotonic()
        for _ in range(max(1, int(rate / 100))):
            task = asyncio.ensure_future(guess(secrets.randbelow(1 << 24)))
            running.add(task)
            task.add_done_callback(running.discard)
            done += 1
        print(done, flush=True)
        await asyncio.sleep(max(0, began + 0.01 - time.monotonic()))
        while len(running) > 500:
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(guess_at(float(sys.argv[1])))
