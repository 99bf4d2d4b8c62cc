"""An HTTP/2 connection whose streams are opened, cut off and used as WebSockets (RFC 8441)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import wsproto.connection
import wsproto.events

__all__ = ["Connection", "Socket", "Stream"]

Headers = Sequence[tuple[str, str]]
_PIECE: Final = 16_384


@dataclass(eq=False)
class Stream:
    """One stream of a connection.

    Attributes:
        headers: Of the response.
        body: As much as has arrived.
        is_ended: Whether the response is complete.
        reset: The error code of a reset, or None.

    """

    number: int
    changed: asyncio.Condition
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """The status of the response, 0 if there is none yet."""
        return int(self.headers.get(":status", "0"))


class Connection:
    """A connection to a server that is known to speak HTTP/2."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._streams: dict[int, Stream] = {}
        self._changed = asyncio.Condition()
        self._has_settings = False
        self.is_closed = False
        self._h2.initiate_connection()
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Self]:
        """Open a connection, and close it after the block."""
        connection = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            await connection.flush()
            await connection.until(lambda: connection._has_settings)
            yield connection
        finally:
            connection._reading.cancel()
            await asyncio.gather(connection._reading, return_exceptions=True)
            connection._writer.close()

    @property
    def has_sockets(self) -> bool:
        """Whether the server allows WebSockets on streams (RFC 8441, section 3)."""
        return bool(self._h2.remote_settings.enable_connect_protocol)

    async def until(self, holds: object) -> None:
        """Return as soon as the callable `holds` returns true, or the connection has ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_closed or holds())  # type: ignore[operator]

    async def request(
        self, method: str, path: str, headers: Headers = (), *, has_body: bool = False
    ) -> Stream:
        """Open a stream."""
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = Stream(number, self._changed)
        first = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)]
        if method == "CONNECT":
            first.append((":protocol", "websocket"))
        self._h2.send_headers(number, [*first, *headers], end_stream=not has_body)
        await self.flush()
        return stream

    async def ended(self, stream: Stream) -> None:
        """Return when `stream` or the connection has ended."""
        await self.until(lambda: stream.is_ended or stream.reset is not None)

    async def upload(self, stream: Stream, body: bytes, *, is_last: bool) -> None:
        """Send `body` as far as flow control allows, also when the response is complete.

        What a client had sent before the response reached it arrives like that.
        """
        at = 0
        while at < len(body) and not self.is_closed and stream.reset is None:
            await self.until(lambda: stream.is_ended or self._window(stream) > 0)
            size = min(_PIECE, self._window(stream), len(body) - at)
            if size == 0:
                return  # no more is wanted
            at += size
            with contextlib.suppress(h2.exceptions.ProtocolError):  # it was reset meanwhile
                piece = body[at - size : at]
                self._h2.send_data(stream.number, piece, end_stream=is_last and at == len(body))
            await self.flush()

    async def cut(self, stream: Stream) -> None:
        """Reset `stream`, as a browser does with a request that was aborted."""
        self._h2.reset_stream(stream.number, h2.errors.ErrorCodes.CANCEL)
        await self.flush()

    async def send(self, stream: Stream, data: bytes) -> None:
        """Send a little data."""
        self._h2.send_data(stream.number, data)
        await self.flush()

    async def flush(self) -> None:
        """Send what is waiting; a lost connection is noticed by the reader."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(self._h2.data_to_send())
            await self._writer.drain()

    def _window(self, stream: Stream) -> int:
        try:
            return self._h2.local_flow_control_window(stream.number)
        except h2.exceptions.ProtocolError:
            return 0  # the stream is closed

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65_536):
                for event in self._h2.receive_data(data):
                    self._take(event)
                await self.flush()
                await self._notify()
        except (ConnectionError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.is_closed = True
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._has_settings = True
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.is_closed = True
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers.update(event.headers or ())  # type: ignore[arg-type]
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data or b""
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream.number)
        elif isinstance(event, h2.events.StreamEnded):
            stream.is_ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = int(event.error_code or 0)


class Socket:
    """A WebSocket on a stream."""

    def __init__(self, connection: Connection, stream: Stream) -> None:
        self._connection, self._stream = connection, stream
        self._frames = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
        self._read = 0
        self._events: list[wsproto.events.Event] = []

    async def send(self, text: str) -> None:
        """Send a text."""
        data = self._frames.send(wsproto.events.TextMessage(data=text))
        await self._connection.send(self._stream, data)

    async def next(self) -> str | int:
        """Return the next text, or the code of the close: 1006 if the stream ends without one."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, wsproto.events.TextMessage):
                    return event.data
                if isinstance(event, wsproto.events.CloseConnection):
                    return event.code
            if (data := await self._more()) is None:
                return 1006
            self._frames.receive_data(data)
            self._events += self._frames.events()

    async def _more(self) -> bytes | None:
        """Return what arrives next; None if the stream has ended."""
        stream, at = self._stream, self._read
        await self._connection.until(
            lambda: len(stream.body) > at or stream.is_ended or stream.reset is not None
        )
        self._read = len(stream.body)
        return stream.body[at:] or None
