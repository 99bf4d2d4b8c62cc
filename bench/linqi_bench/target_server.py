"""The server that client figures are taken against: ``python -m linqi_bench.target_server``.

It answers everything with two bytes, so that what a client costs weighs as much as it can.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

__all__ = ["answer", "main"]

_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY: Final = {"type": "http.response.body", "body": b"{}"}


async def answer(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Answer one request."""
    await send(_START)
    await send(_BODY)


def main() -> None:
    """Serve on a free loopback port until a signal ends it; the first line is the URL."""
    import uvicorn

    config = uvicorn.Config(answer, lifespan="off", ws="none", log_level="warning")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
