"""A worker of one host: the session routes and an API, as its own ``linqi.toml`` describes them.

``uvicorn host_app:app`` with HOST, the folder of that file and of the host's keys.
"""

import os
from pathlib import Path
from typing import Any

from linqi import Person
from linqi.config import wrap

HOST = Path(os.environ["HOST"])


async def authenticate(form: Any) -> Person | None:
    """Let everybody in."""
    return Person(subject=form["username"])


async def api(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the subject; the lifespan has nothing to do."""
    if scope["type"] == "lifespan":
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["linqi"].subject.encode()})


app = wrap(api, HOST / "linqi.toml", authenticate=authenticate)
