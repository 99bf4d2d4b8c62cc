"""The application with Django, and its WebSockets with Channels."""

from __future__ import annotations

from typing import Any

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from matrix import contract

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of no use here")
django.setup()


async def me(request: Any) -> HttpResponse:
    """Answer with the user."""
    return JsonResponse(contract.user_of(request.scope))


async def chunks(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the parts."""
    return StreamingHttpResponse(contract.parts(request.GET["key"]))


async def sse(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the events; Django has no class for them."""
    stream = contract.events(request.GET["key"])
    return StreamingHttpResponse(stream, content_type="text/event-stream")


async def ticks(request: HttpRequest) -> StreamingHttpResponse:
    """Stream without end."""
    return StreamingHttpResponse(contract.ticks(request.GET["key"]))


async def file(_: HttpRequest) -> FileResponse:
    """Send the file."""
    return FileResponse(contract.DATA.open("rb"))


async def upload(request: HttpRequest) -> HttpResponse:
    """Use the body, or answer a preflight, which Django leaves to an extension."""
    if request.method == "OPTIONS":
        headers = {
            "Access-Control-Allow-Origin": contract.ORIGIN,
            "Access-Control-Allow-Methods": "POST",
        }
        return HttpResponse(status=204, headers=headers)
    return JsonResponse(contract.received(request.body))


async def fail(_: HttpRequest) -> HttpResponse:
    """Fail."""
    raise RuntimeError("the application fails")


async def closed(_: HttpRequest) -> HttpResponse:
    """Refuse without reading the body."""
    return HttpResponse("no", status=401, headers={"WWW-Authenticate": contract.CHALLENGE})


async def go(request: HttpRequest) -> HttpResponse:
    """Hand over."""
    return JsonResponse(contract.go(request.GET["key"]))


async def state(_: HttpRequest) -> HttpResponse:
    """Answer with what was recorded."""
    return JsonResponse(contract.state())


class Echo(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Says who is there, and repeats texts."""

    async def connect(self) -> None:
        """Accept."""
        await self.accept()
        await self.send(text_data=str(contract.user_of(self.scope)["user"]))

    async def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        """Repeat a text, or close."""
        if text_data == "close":
            await self.close(contract.CLOSE_CODE)
        else:
            await self.send(text_data=text_data)


class Closed(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Refuses."""

    async def connect(self) -> None:
        """Refuse."""
        await self.close(1008)


urlpatterns = [
    path("me", me),
    path("chunks", chunks),
    path("sse", sse),
    path("ticks", ticks),
    path("file/data.bin", file),
    path("upload", upload),
    path("fail", fail),
    path("closed", closed),
    path("go", go),
    path("state", state),
]
app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws", Echo.as_asgi()), path("ws-closed", Closed.as_asgi())]),
    }
)
