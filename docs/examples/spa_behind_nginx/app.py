"""The API of a single-page app: notes, an event stream and a WebSocket, all for signed-in users."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse

from linqi import Person
from linqi.fastapi import CurrentUser, protect, public

ACCOUNTS = {"alice": "correct horse", "bob": "battery staple"}  # your table, with slow hashes
NOTES: dict[str, list[str]] = {"alice": ["buy tea"], "bob": []}

app = FastAPI()


def authenticate(form: Mapping[str, str]) -> Person | None:
    """Check a sign-in; None refuses it."""
    expected = ACCOUNTS.get(form["username"], "")
    is_right = hmac.compare_digest(expected.encode(), form["password"].encode())
    return Person(subject=form["username"]) if expected and is_right else None


protect(app, "linqi.toml", authenticate=authenticate)


@app.get("/api/health")
@public
async def health() -> str:
    """Answer the load balancer."""
    return "ok"


@app.get("/api/notes")
async def notes(user: CurrentUser) -> dict[str, object]:
    """Return the notes of the caller."""
    return {"user": user.identity, "notes": NOTES[user.identity]}


@app.get("/api/events")
async def events(user: CurrentUser) -> StreamingResponse:
    """Count the seconds; the stream ends with the token or the session."""

    async def body() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"id: {number}\ndata: {number}\n\n"
            number += 1
            await asyncio.sleep(1)

    return StreamingResponse(body(), media_type="text/event-stream")


@app.websocket("/api/socket")
async def socket(connection: WebSocket, user: CurrentUser) -> None:
    """Echo; the socket is closed with 4401 when its token or session ends."""
    await connection.accept()
    async for text in connection.iter_text():
        await connection.send_text(f"{user.identity}: {text}")
