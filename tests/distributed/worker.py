"""One worker of the service: ``python -m distributed.worker --config FILE --port N ...``.

It is configured as users do it, by a ``linqi.toml``. Beyond that it has a clock that the harness
can set, and a file with the events that an operator would see.
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn

from linqi import Person
from linqi.config import Config, build, load, wrap
from linqi.events import Event, SessionRefreshed, SessionStarted, TokenRefused
from linqi_storm.apps.offset_clock import OffsetClock

PASSWORD = "correct horse"


async def page(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request of the application."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def authenticate(form: Any) -> Person | None:
    """Accept every name with the password of the tests."""
    return Person(subject=form["username"]) if form["password"] == PASSWORD else None


def main() -> None:
    """Serve on loopback until a signal ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clock", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True)
    options = parser.parse_args()
    with options.events.open("a", buffering=1, encoding="utf-8") as events:

        def write(event: Event) -> None:
            if not isinstance(event, SessionRefreshed | SessionStarted | TokenRefused):
                told = {"at": time.monotonic(), "event": type(event).__name__}
                events.write(json.dumps(told | asdict(event), default=str) + "\n")

        config: Config = load(options.config)
        components = build(config, hooks=[write], clock=OffsetClock(options.clock))
        app = wrap(page, components, authenticate=authenticate)
        served = uvicorn.Config(app, ws="none", log_level="warning", timeout_graceful_shutdown=2)
        with socket.create_server(("127.0.0.1", options.port), backlog=2048) as listener:
            uvicorn.Server(served).run([listener])


if __name__ == "__main__":
    main()
