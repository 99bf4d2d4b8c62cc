"""Services that run beside an application, started with it or by the first request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from linqi import events
from linqi._callbacks import log_fault
from linqi._start_once import StartOnce
from linqi.asgi._http import ASGIApp, Message, Receive, Scope, Send
from linqi.errors import LinqiError, Unavailable
from linqi.events.dispatcher import Dispatcher

if TYPE_CHECKING:
    from linqi.events import Event, Hook

__all__ = ["ReportingService", "Service", "Services"]

_START_SECONDS: Final = 30.0


@runtime_checkable
class Service(Protocol):
    """A background service of one event loop.

    `start` may be called again on another event loop without `close`: the earlier loop has ended
    then.
    """

    async def start(self) -> None:
        """Start the service; an exception keeps the application from starting."""
        ...

    async def close(self) -> None:
        """Stop the service; called after the application has shut down."""
        ...


@runtime_checkable
class ReportingService(Service, Protocol):
    """A service that reports events of its own."""

    def listen(self, *hooks: Hook) -> None:
        """Pass events to `hooks` too; a hook that is added several times is called once."""
        ...


class Services:
    """The services of one middleware: all of them run on the event loop that serves, or none.

    They start before the application receives its start-up and close after its shutdown. Where
    the server sends no lifespan (daphne, ``--lifespan off``, mounted applications, serverless
    adapters), they start with the first request that needs them and run until their event loop
    ends. A later lifespan finds them started.

    Args:
        services: Started together, closed in order; a service that is listed twice, such as keys
            that several issuers share, starts and closes once.
        on_close: Called last.
        events: Receives `ServicesNotStarted` when a request could not start them.

    Attributes:
        is_any: Whether there is a service at all.

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
        self._once = StartOnce(self._start, on_failure=self._report)
        self.is_any = bool(self._services)

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be started for a request on the running event loop."""
        return not self.is_any or self._once.is_done

    async def ensure(self) -> None:
        """Start the services for a request; concurrent requests wait for the same start.

        Raises:
            Unavailable: A service cannot start, or the pause after a failed start is not over.

        """
        await self._once.ensure()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a lifespan scope; the start-up fails, and raises, if a service cannot start.

        Messages between server and application pass unchanged. An application that raises before
        it receives the start-up does not support lifespan (ASGI, "Lifespan Protocol"), as Django
        and Channels do not: it is answered here, so that the services are closed at the shutdown.
        """
        try:
            await self._once.start()
        except Exception as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise  # as Starlette does: its test client waits for the exception

        is_asked = False

        async def receive_marking() -> Message:
            nonlocal is_asked
            is_asked = True
            return await receive()

        async def send_closing(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._close()
            await send(message)

        try:
            await app(scope, receive_marking, send_closing)
        except Exception:
            if is_asked:
                raise
            await _serve_alone(receive, send_closing)

    async def _start(self) -> None:
        """Start all services; close all of them if one fails."""
        starts = await asyncio.gather(
            *[_started(service) for service in self._services], return_exceptions=True
        )
        failed = [result for result in starts if isinstance(result, BaseException)]
        if failed:
            for error in failed:
                if not isinstance(error, LinqiError):
                    log_fault("a service did not start", error, ())
            await self._close()
            said = dict.fromkeys(map(_said, failed))  # once, where services share a server
            raise Unavailable("; ".join(said)) from failed[0]

    async def _close(self) -> None:
        """Close all services; one that raises is logged, and keeps no other from closing."""
        self._once.reset()
        for service in self._services:
            try:
                await service.close()
            except Exception as error:  # noqa: BLE001 - the other services must be closed too
                log_fault("a service did not close", error, ())
        if self._on_close is not None:
            self._on_close()

    def _report(self, detail: str, retry_in: float) -> None:
        self._events(events.ServicesNotStarted(detail=detail, retry_in=retry_in))


async def _started(service: Service) -> None:
    """Start `service`; `Unavailable` if that takes longer than requests can be left waiting."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            await service.start()
    except TimeoutError:
        name = type(service).__name__
        raise Unavailable(f"{name}.start() took more than {_START_SECONDS:g} s") from None


async def _serve_alone(receive: Receive, send: Send) -> None:
    """Answer the lifespan of an application that does not support it."""
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": f"{message['type']}.complete"})


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, LinqiError) else f"{type(error).__name__}: {error}"
