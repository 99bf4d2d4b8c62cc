"""What runs beside an application: started with it, or by the first request that needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from linqi._start_once import StartOnce
from linqi.asgi._http import ASGIApp, Message, Receive, Scope, Send
from linqi.errors import LinqiError, Unavailable
from linqi.events import Dispatcher, Event, Hook, ServicesNotStarted

__all__ = ["ReportingService", "Service", "Services"]


@runtime_checkable
class Service(Protocol):
    """Something that works in the background of one event loop.

    `start` may be called again on another event loop, without a `close` before: the loop that it
    ran on is gone then.
    """

    async def start(self) -> None:
        """Begin; an exception keeps the application from starting."""
        ...

    async def close(self) -> None:
        """End; called after the application has shut down."""
        ...


@runtime_checkable
class ReportingService(Service, Protocol):
    """A service that has events of its own to tell."""

    def listen(self, *hooks: Hook) -> None:
        """Call `hooks` too, each once however often it is added."""
        ...


class Services:
    """The services of one middleware: all of them run on the loop that serves, or none does.

    They start before the application hears of its start-up and close after its shutdown. Where no
    lifespan is sent (daphne, ``--lifespan off``, mounted applications, serverless adapters), they
    start with the first request that needs them and run until their event loop ends. A lifespan
    that comes later finds them started.

    Args:
        services: Started together, closed in order; one that is listed twice, such as keys that
            several issuers share, once.
        on_close: Called last.
        events: Receives `ServicesNotStarted` when a request could not start them.

    """

    def __init__(
        self,
        services: Sequence[Service],
        on_close: Callable[[], object] | None,
        events: Dispatcher[Event],
    ) -> None:
        self._services = tuple({id(service): service for service in services}.values())
        self._on_close = on_close
        self._events = events
        self._once = StartOnce(self._start, on_failure=self._tell)
        self.is_any = bool(self._services)

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be started for a request on the running event loop."""
        return not self.is_any or self._once.is_done

    async def ensure(self) -> None:
        """Start them for a request; all requests that come meanwhile wait for one start.

        Raises:
            Unavailable: They cannot start, now or within the pause after a failed start.

        """
        await self._once.ensure()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a lifespan scope; a service that cannot start makes the start-up fail.

        The messages themselves pass untouched.
        """
        try:
            await self._once.start()
        except Exception as error:  # noqa: BLE001 - the server is told, and ends the process
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return

        async def send_closing(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._close()
            await send(message)

        await app(scope, receive, send_closing)

    async def _start(self) -> None:
        """Start all; where one cannot, close all."""
        starts = await asyncio.gather(
            *[service.start() for service in self._services], return_exceptions=True
        )
        failed = [result for result in starts if isinstance(result, BaseException)]
        if failed:
            await self._close()
            raise Unavailable("; ".join(_said(error) for error in failed)) from failed[0]

    async def _close(self) -> None:
        self._once.reset()
        for service in self._services:
            await service.close()
        if self._on_close is not None:
            self._on_close()

    def _tell(self, detail: str, retry_in: float) -> None:
        self._events(ServicesNotStarted(detail=detail, retry_in=retry_in))


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, LinqiError) else f"{type(error).__name__}: {error}"
