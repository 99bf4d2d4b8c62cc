"""Honest clients that continue while faults occur, and a history to check afterwards."""

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

Address = tuple[str, int] | str


class Proxy:
    """A TCP relay to a server on a port or a socket file, which misbehaves on command.

    ``pass``; ``lose_reply``: requests arrive, replies do not, then the connection ends; ``cut``:
    every connection ends; ``hang``: nothing moves; ``slow``: replies drip. `set` may confine it to
    HTTP requests of one path and to so many of them; `seen` has the first line of every request.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self.mode = "pass"
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._moved = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()
        self._only = b""
        self._left = float("inf")
        self.seen: list[bytes] = []
        self.accepted = 0
        """How many connections came."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Relay while the context lasts."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.set("cut")
            await asyncio.gather(*self._relays)

    def set(self, mode: str, *, only: bytes = b"", times: float = float("inf")) -> None:
        """Misbehave so from now on: at the path `only`, and only `times` times."""
        self.mode, self._only, self._left = mode, only, times
        self._moved.set()
        self._moved = asyncio.Event()
        if mode == "cut" and not only:
            for writer in [*self._writers]:
                writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        self._writers.add(writer)
        self.accepted += 1
        try:
            if self.mode == "cut" and not self._only:
                return
            if isinstance(self.target, str):
                there, back = await asyncio.open_unix_connection(self.target)
            else:
                there, back = await asyncio.open_connection(*self.target)
            self._writers.add(back)
            line = [b""]
            try:
                await asyncio.gather(
                    self._pump(reader, back, line, is_reply=False),
                    self._pump(there, writer, line, is_reply=True),
                )
            finally:
                self._writers.discard(back)
                back.transport.abort()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        line: list[bytes],
        *,
        is_reply: bool,
    ) -> None:
        while data := await source.read(65_536):
            if not is_reply and data.startswith((b"GET ", b"POST ")):
                line[0] = data.partition(b"\r\n")[0]
                self.seen.append(line[0])
            if self.mode == "hang" and (is_reply or not self._only) and self._hits(line[0]):
                await self._moved.wait()
            if self.mode == "cut" and self._hits(line[0]):
                raise OSError("lost on purpose")
            if is_reply and self.mode == "lose_reply" and self._hits(line[0]):
                raise OSError("lost on purpose")
            size = 16 if is_reply and self.mode == "slow" and self._hits(line[0]) else len(data)
            for start in range(0, len(data), size):
                if start:
                    await asyncio.sleep(0.005)
                sink.write(data[start : start + size])
                await sink.drain()
        raise OSError("ended")

    def _hits(self, line: bytes) -> bool:
        """Return whether a fault hits the request with this first line, and count it."""
        if self._left <= 0 or (self._only and self._only not in line):
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Operation:
    """One request of a client, from its start to its answer; status 0 is no answer at all."""

    kind: str
    began: float
    ended: float
    status: int
    outcome: str
    session: str
    sequence: int
    token: str = field(repr=False)


class Client:
    """A person who refreshes again and again, and presents the same token until it is answered."""

    def __init__(self, number: int, workers: Sequence[str]) -> None:
        self.workers = itertools.cycle([*workers[number % 2 :], *workers[: number % 2]])
        self.history: list[Operation] = []
        self.pair: dict[str, Any] = {}
        self.session = f"client-{number}"
        self.http = httpx2.AsyncClient(timeout=8)

    async def login(self, password: str) -> None:
        """Sign in."""
        fields = {"username": "bob", "password": password}  # many at once check passwords for long
        answer = await self.http.post(f"{next(self.workers)}/login", json=fields, timeout=60)
        self.pair = answer.raise_for_status().json()

    async def live(self, until: float, pause: float) -> None:
        """Refresh until the time is over."""
        while time.monotonic() < until:
            await self.refresh()
            await asyncio.sleep(pause)

    async def refresh(self) -> Operation:
        """Present the held token once; keep what the answer gives."""
        return await self.post("/refresh", refresh_token=self.pair["refresh_token"])

    async def post(self, path: str, **body: str) -> Operation:
        """Make one request and write it down."""
        began, status, outcome, answer = time.monotonic(), 0, "", {}
        with contextlib.suppress(httpx2.TransportError):
            response = await self.http.post(next(self.workers) + path, json=body)
            status = response.status_code
            outcome = response.headers.get("x-refresh-outcome", "")
            if status == 200:
                answer = response.json()
                if path == "/refresh" and answer["sequence"] >= self.pair["sequence"]:
                    self.pair = answer
        done = Operation(
            kind=path,
            began=began,
            ended=time.monotonic(),
            status=status,
            outcome=outcome,
            session=self.session,
            sequence=answer.get("sequence", -1),
            token=answer.get("refresh_token", ""),
        )
        self.history.append(done)
        return done


def faults_of(clients: Sequence[Client]) -> list[str]:
    """List what the invariants I1, I2, I4 and I5 forbid, in the history of honest clients."""
    faults = []
    tokens: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for client in clients:
        over_at = min(
            (o.ended for o in client.history if o.kind == "/logout" and o.status == 204),
            default=float("inf"),
        )
        for done in client.history:
            if done.status not in (0, 200, 204, 400, 401, 503):
                faults.append(f"I5: {done}")
            if done.kind != "/refresh":
                continue
            if done.status == 200:
                tokens[done.session, done.sequence].add(done.token)
                if done.began > over_at:
                    faults.append(f"I2: {done}")
            if done.status in (400, 401) and done.ended < over_at and over_at == float("inf"):
                faults.append(f"I4: {done}")
    faults += [f"I1: {key} has several tokens" for key, found in tokens.items() if len(found) > 1]
    return faults


def p99(operations: Sequence[Operation]) -> float:
    """Return the 99th percentile of the response times, in seconds."""
    took = sorted(done.ended - done.began for done in operations)
    return took[min(len(took) - 1, int(len(took) * 0.99))] if took else 0.0
