"""What the applications of all frameworks share: data, hand-overs, streams, and what they record.

Each application serves the same paths by its framework's own means:

======================  ===========================================================================
``GET, HEAD /me``       the user of the verified token as JSON; null where the app is not wrapped
``GET /chunks, /sse``   a first part, and a second one as soon as ``/go`` has handed over its key
``GET /ticks``          a stream to hang up on, without end unless ``/go`` hands over its key
``GET /file/data.bin``  a file of 256 KiB
``POST /upload``        the size and the digest of the body
``GET /fail``           an exception
``POST /closed``        the framework's own 401, sent without reading the body
``GET /go, /state``     public: a hand-over; what this module recorded
``/ws``                 a WebSocket that says who is there, repeats texts, and closes on ``close``
``/ws-closed``          a WebSocket that the application refuses
======================  ===========================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(os.environ.get("MATRIX_FOLDER", "."))
DATA: Final = FOLDER / "file" / "data.bin"
LIFESPAN: Final = FOLDER / os.environ.get("MATRIX_LIFESPAN", "lifespan")
ORIGIN: Final = "https://shop.example"
CHALLENGE: Final = 'Bearer realm="own"'
CLOSE_CODE: Final = 4401
FILE: Final = bytes(range(256)) * 1024
PARTS: Final = (b"first\n", b"second\n")

_running: set[str] = set()
_events: dict[str, asyncio.Event] = {}


def user_of(scope: Mapping[str, Any]) -> dict[str, str | None]:
    """Return who sent the request of `scope`; None where no middleware says so."""
    verified = scope.get("linqi")
    return {"user": None if verified is None else verified.identity}


def received(body: bytes) -> dict[str, Any]:
    """Return what is told of an upload."""
    return {"size": len(body), "digest": hashlib.sha256(body).hexdigest()}


def go(key: str) -> dict[str, str]:
    """Hand over `key`: the stream that waits for it goes on."""
    _event(key).set()
    return {"key": key}


def state() -> dict[str, Any]:
    """Return which streams run, and the stages of the lifespan so far."""
    stages = LIFESPAN.read_text().split() if LIFESPAN.exists() else []
    return {"running": sorted(_running), "lifespan": stages}


def stage(name: str) -> None:
    """Record a stage of the lifespan, ``startup`` or ``shutdown``."""
    with LIFESPAN.open("a") as file:
        file.write(f"{name}\n")


async def parts(key: str) -> AsyncIterator[bytes]:
    """Yield the first part, and the second one after the hand-over of `key`."""
    with _counted(key):
        yield PARTS[0]
        await _event(key).wait()
        yield PARTS[1]


async def ticks(key: str) -> AsyncIterator[bytes]:
    """Yield until the hand-over of `key`, which only comes where the stream outlives its client."""
    with _counted(key):
        while not _event(key).is_set():
            yield b"tick\n"
            await asyncio.sleep(0.02)


async def texts(key: str) -> AsyncIterator[str]:
    """Yield the parts as texts, for the events of frameworks."""
    async for part in parts(key):
        yield part.decode().strip()


async def events(key: str) -> AsyncIterator[bytes]:
    """Yield the parts as encoded events, for frameworks that have none."""
    async for text in texts(key):
        yield f"data: {text}\r\n\r\n".encode()


def _event(key: str) -> asyncio.Event:
    return _events.setdefault(key, asyncio.Event())


@contextlib.contextmanager
def _counted(key: str) -> Iterator[None]:
    _running.add(key)
    try:
        yield
    finally:
        _running.discard(key)
