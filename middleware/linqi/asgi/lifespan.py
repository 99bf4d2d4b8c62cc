"""What runs beside an application from its start-up to its shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from linqi.asgi._http import ASGIApp, Message, Receive, Scope, Send
from linqi.errors import LinqiError

__all__ = ["Lifespan", "Service"]


@runtime_checkable
class Service(Protocol):
    """Something that works in the background of one event loop."""

    async def start(self) -> None:
        """Begin; an exception keeps the application from starting."""
        ...

    async def close(self) -> None:
        """End; called once, after the application has shut down."""
        ...


class Lifespan:
    """Starts `services` before an application hears of its start-up and closes them after it.

    The messages themselves pass untouched. Where an application knows no lifespan, the services
    run until their event loop ends. `on_close` is called last.
    """

    def __init__(self, services: Sequence[Service], on_close: Callable[[], object] | None) -> None:
        self._services = tuple(services)
        self._on_close = on_close

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a lifespan scope; a service that cannot start makes the start-up fail."""
        starts = await asyncio.gather(
            *[service.start() for service in self._services], return_exceptions=True
        )
        failed = [result for result in starts if isinstance(result, BaseException)]
        if failed:
            await self._close()
            await receive()
            message = "; ".join(_said(error) for error in failed)
            await send({"type": "lifespan.startup.failed", "message": message})
            return

        async def send_closing(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._close()
            await send(message)

        await app(scope, receive, send_closing)

    async def _close(self) -> None:
        for service in self._services:
            await service.close()
        if self._on_close is not None:
            self._on_close()


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, LinqiError) else f"{type(error).__name__}: {error}"
