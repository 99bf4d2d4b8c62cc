"""The application with Falcon."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response, SSEvent, WebSocket

from matrix import contract


class Lifespan:
    """Records both stages."""

    async def process_startup(self, scope: Any, event: Any) -> None:
        """Record the stage."""
        contract.stage("startup")

    async def process_shutdown(self, scope: Any, event: Any) -> None:
        """Record the stage."""
        contract.stage("shutdown")


class Me:
    """The user."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer with the user."""
        resp.media = contract.user_of(req.scope)

    on_head = on_get


class Chunks:
    """The parts."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Stream the parts."""
        resp.stream = contract.parts(req.get_param("key", required=True))


class Sse:
    """The events."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Stream the events."""
        resp.sse = self._events(req.get_param("key", required=True))

    async def _events(self, key: str) -> AsyncIterator[SSEvent]:
        async for text in contract.texts(key):
            yield SSEvent(text=text)


class Ticks:
    """A stream without end."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Stream without end."""
        resp.stream = contract.ticks(req.get_param("key", required=True))


class Upload:
    """An upload."""

    async def on_post(self, req: Request, resp: Response) -> None:
        """Read the body as it comes."""
        resp.media = contract.received(b"".join([chunk async for chunk in req.stream]))


class Fail:
    """A failure."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Fail."""
        raise RuntimeError("the application fails")


class Closed:
    """The application's own refusal."""

    async def on_post(self, req: Request, resp: Response) -> None:
        """Refuse without reading the body."""
        resp.status = falcon.HTTP_401
        resp.set_header("WWW-Authenticate", contract.CHALLENGE)
        resp.text = "no"


class Go:
    """A hand-over."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Hand over."""
        resp.media = contract.go(req.get_param("key", required=True))


class State:
    """What was recorded."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer with what was recorded."""
        resp.media = contract.state()


class Echo:
    """A WebSocket."""

    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        """Say who is there, and repeat texts."""
        await ws.accept()
        await ws.send_text(str(contract.user_of(req.scope)["user"]))
        with contextlib.suppress(falcon.WebSocketDisconnected):
            while (text := await ws.receive_text()) != "close":
                await ws.send_text(text)
            await ws.close(contract.CLOSE_CODE)


class EchoClosed:
    """A WebSocket that is refused."""

    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        """Refuse."""
        await ws.close(1008)


cors = falcon.CORSMiddleware(allow_origins=contract.ORIGIN)
app = falcon.asgi.App(middleware=[Lifespan(), cors])
for route, resource in {
    "/me": Me(),
    "/chunks": Chunks(),
    "/sse": Sse(),
    "/ticks": Ticks(),
    "/upload": Upload(),
    "/fail": Fail(),
    "/closed": Closed(),
    "/go": Go(),
    "/state": State(),
    "/ws": Echo(),
    "/ws-closed": EchoClosed(),
}.items():
    app.add_route(route, resource)
app.add_static_route("/file", str(contract.DATA.parent.absolute()))
