"""Sessions in Valkey or Redis: for several machines, one Lua script per operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from linqi._notes import NoteStore
from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError, NotStarted, Unavailable
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.device_token import LEAST_STEP, LONGEST_DEVICE_SECONDS
from linqi.sessions.record import Revocation, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.restored import RestoredSessions
from linqi.sessions.session_page import SessionPages
from linqi.sessions.store import RevocationReader
from linqi.stores._redis import (
    Call,
    Script,
    as_unavailable,
    is_half_moved,
    is_of_cluster,
    is_one_server,
)
from linqi.stores._store_clock import StoreClock
from linqi.stores._time_limit import TimeLimit
from linqi.stores._valkey_checks import driver_warnings, server_faults, server_warnings
from linqi.stores._valkey_clients import (
    RETRIES,
    ask_servers,
    connect,
    disconnect,
    driver_habits,
)
from linqi.stores._valkey_nodes import Nodes
from linqi.stores._valkey_pages import ValkeyPages
from linqi.stores._valkey_rotations import ValkeyRotations
from linqi.stores._valkey_rows import session_of
from linqi.stores._valkey_subjects import SubjectSessions
from linqi.stores._valkey_url import read_valkey_url
from linqi.stores.valkey_attempts import ValkeyAttempts
from linqi.stores.valkey_notes import ValkeyNotes
from linqi.stores.valkey_restored import ValkeyRestored, most_forgotten_key
from linqi.stores.valkey_stream import SLACK_SECONDS, RevocationStream

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["ValkeyStore"]

_PUBLISHED_AT_ONCE: Final = 500
_REPLICAS_SHARE: Final = 0.5
"""The part of an operation's limit for replicas to confirm: servers end a WAIT 0.1 s late, and the
driver leaves a server that is silent for longer."""
_MOST_CONFIRMED: Final = 100_000
"""Of these the revocation is not published again; of others once more for each process."""


class ValkeyStore:
    """A `SessionStore` in a Valkey or Redis server or cluster.

    The sessions of one subject share a hash slot, so every operation runs on one node, or on two
    while the slot is moved. Revocations are sent by one stream.

    The server must not evict keys (``maxmemory-policy noeviction``): if Valkey evicts a revocation,
    the session is no longer revoked. Acknowledged writes can be lost with the machine unless
    ``appendfsync`` is ``always``, and in a failover, except revocations with `min_replicas`.

    Args:
        url: The server, such as ``valkey://127.0.0.1:6379/0``, ``valkey+cluster://HOST:PORT,...``
            or ``valkey+sentinel://HOST:PORT,.../MASTER-NAME``.
        client: A `redis.asyncio` client of the caller's instead of `url`; it is not closed. Its
            retries are harmless, as operations are idempotent.
        timeout: Seconds for each operation, waiting for a connection included; 0.05 to 60.
        most_connections: How many operations run at once; 1 to 10,000.
        prefix: The beginning of all keys: ASCII letters, digits and hyphens.
        min_replicas: How many replicas must have a revocation before it is acknowledged; 0 to 100.
            Half of `timeout` is for that; with fewer the call fails, and can be repeated.

    Raises:
        ConfigurationError: Not exactly one of `url` and `client` is given, or a value is out of
            range.

    """

    RANGES: ClassVar[Ranges] = {
        "timeout": Range(0.05, 60, "seconds"),
        "most_connections": Range(1, 10_000, is_whole=True),
        "min_replicas": Range(0, 100, is_whole=True),
    }

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Redis | Any = None,
        timeout: float = 2.0,
        most_connections: int = 50,
        prefix: str = "linqi",
        min_replicas: int = 0,
    ) -> None:
        faults = []
        if (url is None) == (client is None):
            faults.append("give either url, such as 'valkey://127.0.0.1:6379/0', or client")
        values = {"timeout": timeout, "most_connections": most_connections}
        faults += range_faults(self.RANGES, {**values, "min_replicas": min_replicas})
        if not prefix or not prefix.isascii() or not prefix.replace("-", "").isalnum():
            faults.append(f"prefix is {prefix!r}, expected ASCII letters, digits and hyphens")
        if faults:
            raise ConfigurationError(faults)
        self._place = None if url is None else read_valkey_url(url)
        self._is_own = client is None
        self._client: Any = client
        self._timeout = timeout
        self._most_connections = most_connections
        self._min_replicas = min_replicas
        # Instead of the driver's blocking pool, whose condition costs 15 us per call.
        self._gate = asyncio.Semaphore(most_connections)
        # Of the calls that wait for replicas: a replica that hangs holds up no refresh.
        self._confirming = asyncio.Semaphore((most_connections + 1) // 2)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._prefix = prefix
        self._nodes = Nodes(self._started, min_replicas=min_replicas)
        self._subjects = SubjectSessions(prefix, self._nodes, repeats=min_replicas > 0)
        self._confirmed: dict[str, None] = {}
        """Sessions of which this process knows that replicas have the revocation and its notice."""
        self._stream = RevocationStream(prefix, timeout, nodes=self._nodes)
        self._longest_lifetime = 0.0
        self._is_one_server = False
        self._server_clock = StoreClock("the Valkey store")
        self.warnings: Sequence[str] = ()
        self._rotations = ValkeyRotations(self._started, lambda: self._gate, timeout)
        names = ("end_devices", "notes", "present", "raise")
        self._scripts = {name: Script(name) for name in names}
        self._attempts = ValkeyAttempts(url, client=client, timeout=timeout, prefix=prefix)

    def attempts(self) -> AttemptStore:
        """Return the counters of sign-ins on this server; see `CountsAttempts`."""
        return self._attempts

    def notes(self) -> NoteStore:
        """Return the notes on this server; see `KeepsNotes`."""
        return ValkeyNotes(self._call, self._prefix)

    def restored(self) -> RestoredSessions:
        """Return the sessions of a restored backup; see `Restorable`."""
        return ValkeyRestored(
            self._prefix, self._started, self._nodes, self._subjects, in_time=self._in_time
        )

    def pages(self) -> SessionPages:
        """Return the sessions of a subject, page by page; see `ListsSessions`."""
        return ValkeyPages(self._subjects, self._in_time)

    def now(self) -> float:
        """Return the server's clock as its answers tell it; see `SessionStore`."""
        return self._server_clock.now()

    async def start(self) -> None:
        """Connect; `Unavailable` when the server cannot be reached or would evict sessions."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that ended are lost.
            self._loop, self._gate = loop, asyncio.Semaphore(self._most_connections)
            self._confirming = asyncio.Semaphore((self._most_connections + 1) // 2)
            self._client = None if self._is_own else self._client
        if self._client is None and self._place is not None:
            self._client = connect(self._place, self._timeout, self._most_connections)
        self._is_one_server = is_one_server(self._client)
        await self._check_servers()
        try:
            await self._read_clock()
        except Unavailable as error:
            if is_of_cluster(error.__cause__):
                raise ConfigurationError([error.detail]) from error
            raise

    async def _check_servers(self) -> None:
        async with self._in_time():
            servers = await ask_servers(self._client, self._place, self._timeout)
        place = self._place
        cluster_url = place.cluster_url if place and place.topology == "single" else ""
        if faults := server_faults(servers, cluster_url):
            raise ConfigurationError(faults)
        warnings = server_warnings(servers, self._min_replicas)
        if not self._is_own:
            retries, socket_timeout = driver_habits(self._client)
            warnings.append(driver_warnings(retries, RETRIES, socket_timeout, self._timeout))
        self.warnings = tuple(text for text in warnings if text)

    async def close(self) -> None:
        """Close the connections, unless they belong to the caller's client."""
        await self._attempts.close()
        await self._rotations.finish()
        if self._is_own and self._client is not None:
            is_of_loop = self._loop is asyncio.get_running_loop()
            if is_of_loop:
                await self._finish_calls()
            client, self._client = self._client, None
            if is_of_loop:  # otherwise its connections ended with their loop
                await disconnect(client)

    async def _finish_calls(self) -> None:
        """Wait for the calls under way and for those before them, as long as one may take."""
        gate, self._gate = self._gate, asyncio.Semaphore(self._most_connections)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                for _ in range(self._most_connections):
                    await gate.acquire()

    async def create(self, record: SessionRecord, most_sessions: int) -> Sequence[str]:
        """Store a new session; see `SessionStore`."""
        kept = self._longest_lifetime and self._longest_lifetime + SLACK_SECONDS
        async with self._in_time():
            return await self._subjects.create(record, most_sessions, kept)

    async def present(
        self, session_id: str, counter: int, settings: SessionSettings
    ) -> RotationOutcome:
        """Redeem a refresh token; see `SessionStore`."""
        deadline = self.now() + self._timeout
        rule = f"{settings.grace!r} {settings.recover_seconds!r} {settings.idle!r}"
        argument = f"{counter} {deadline!r} {rule}"
        until = asyncio.get_running_loop().time() + self._timeout
        most = settings.most_forgotten
        outcome = await self._present(session_id, f"{argument} {most:d} 0")
        if outcome.kind == "reused" and outcome.record is None:
            outcome = await self._present_ahead(session_id, argument, most, until)
        if outcome.kind == "revoked" and self._min_replicas:
            # Before it is told: one that a failover took back could be accepted later. Reuse is
            # told by an event first, and then published.
            async with self._in_time(until, confirms=True) as confirm_until:
                await self._subjects.revoke(
                    [session_id], outcome.at, "admin", confirm_until=confirm_until
                )
            is_published = session_id in self._confirmed
            return RotationOutcome("revoked", outcome.record, outcome.at, is_published=is_published)
        return outcome

    async def _present_ahead(
        self, session_id: str, argument: str, most: int, until: float
    ) -> RotationOutcome:
        """Redeem a token further ahead than `most` if the store allows more for now."""
        try:
            async with TimeLimit(until):  # one limit for all round trips of a token
                most = max(most, int(await self._get(most_forgotten_key(self._prefix)) or 0))
                return await self._present(session_id, f"{argument} {most:d} 1")
        except TimeoutError as error:
            raise as_unavailable(error, self._timeout) from error

    async def _present(self, session_id: str, argument: str) -> RotationOutcome:
        sent = self._server_clock.sent()
        if self._is_one_server:
            self._started()
            try:
                answer = await self._rotations.present(self._subjects.key(session_id), argument)
            except Exception as error:
                raise as_unavailable(error, self._timeout) from error
        else:
            answer = await self._call("present", [self._subjects.key(session_id)], [argument])
        kind, now, row = answer.split(b" ", 2)
        at = float(now)
        self._server_clock.learn(at, sent)
        name, _, forgotten = kind.decode().partition("+")
        return RotationOutcome(name, session_of(row) if row else None, at, int(forgotten or 0))

    async def get(self, session_id: str) -> SessionRecord | None:
        """Return a session; see `SessionStore`."""
        found = await self._get(self._subjects.key(session_id))
        return None if found is None else session_of(found)

    async def live(self, subject: str, now: float) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        async with self._in_time():
            return await self._subjects.live(subject, now)

    async def revoke(self, session_id: str, now: float, cause: str) -> bool:
        """Revoke a session; see `SessionStore`. `publish` waits for the replicas."""
        async with self._in_time():
            return bool(await self._subjects.revoke([session_id], now, cause))

    async def revoke_all(
        self, subject: str, now: float, cause: str, kept_session: str = ""
    ) -> Sequence[str]:
        """Revoke the sessions of `subject`; see `SessionStore`. `publish` waits for the replicas.

        It revokes every session whose sign-in was answered before this call, and may or may not
        revoke one that signs in meanwhile. If it fails, another call goes on.
        """
        async with self._in_time():
            return await self._subjects.revoke_all(subject, now, cause, kept_session)

    async def raise_lifetime(self, seconds: float) -> float:
        """Store the longest access lifetime; see `SessionStore`."""
        key = f"{self._prefix}:longest-lifetime"
        self._longest_lifetime = float(await self._call("raise", [key], [repr(float(seconds))]))
        return self._longest_lifetime

    async def end_devices(self, owner: str, now: float) -> None:
        """Store the end of device tokens; see `SessionStore`."""
        arguments = [repr(float(now)), repr(LEAST_STEP), int(LONGEST_DEVICE_SECONDS * 1000)]
        call = self._scripts["end_devices"].call([self._devices(owner)], arguments)
        async with self._in_time(confirms=True) as confirm_until:
            await self._nodes.run([call], confirm_until=confirm_until)

    async def devices_ended_at(self, owner: str) -> float:
        """Return the end of device tokens; see `SessionStore`."""
        return float(await self._get(self._devices(owner)) or 0.0)

    async def publish(self, revocations: Sequence[Revocation]) -> None:
        """Add `revocations` to the stream that every worker follows.

        With `min_replicas` it writes their sessions again, and returns when so many replicas have
        both: the stream and a session may lie on different nodes of a cluster.
        """
        async with self._in_time(confirms=True) as confirm_until:
            for begin in range(0, len(revocations), _PUBLISHED_AT_ONCE):
                await self._publish(revocations[begin : begin + _PUBLISHED_AT_ONCE], confirm_until)

    async def _publish(self, revocations: Sequence[Revocation], confirm_until: float) -> None:
        # The lifetime that was read last: it only rises, and a lower one stores more than it must.
        entries = self._stream.entries(revocations, self._longest_lifetime)
        names = [one.value for one in revocations if one.kind == "session"]
        if not self._min_replicas or all(one.kind == "lifetime" for one in revocations):
            await self._nodes.run(entries)
        else:
            at = revocations[0].at
            rows = self._subjects.revocation_calls(names, at, "admin")
            try:
                await self._nodes.run([*rows, *entries], confirm_until=confirm_until)
            except Exception as error:
                if not is_half_moved(error):
                    raise
                await self._subjects.revoke(names, at, "admin", confirm_until=confirm_until)
                await self._nodes.run(entries, confirm_until=confirm_until)
            self._confirmed |= dict.fromkeys(names)
            while len(self._confirmed) > _MOST_CONFIRMED:
                del self._confirmed[next(iter(self._confirmed))]
        await self._subjects.forget(names, revocations[0].at)

    async def follow(self, since: float, reader: RevocationReader) -> None:
        """Pass on what the stream holds, then what is added; see `SessionStore`."""
        await self._stream.follow(since, reader, await self.raise_lifetime(0.0))

    async def purge(self, now: float, most: int) -> int:
        """Delete revocations that are over; Valkey itself deletes expired sessions."""
        try:
            async with TimeLimit.after(self._timeout):  # one limit for all of it
                await self._read_clock()
                longest = await self.raise_lifetime(0.0)
                async with self._in_time():
                    await self._stream.trim(now, longest)
        except TimeoutError as error:
            raise as_unavailable(error, self._timeout) from error
        return 0

    async def _read_clock(self) -> None:
        """Learn the server's clock: at the start, and while no session is refreshed."""
        await self._present("no-session", "0 1e18 0 0 0 0 1")

    async def _call(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        # `_in_time` without the 4 us of its generator, as every rotation passes here.
        try:
            async with TimeLimit.after(self._timeout), self._gate:
                return (await self._nodes.run([self._scripts[name].call(keys, arguments)]))[0]
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    async def _get(self, key: str) -> bytes | None:
        async with self._in_time():
            found: bytes | None = (await self._nodes.run([Call(key, ("GET", key))]))[0]
        return found

    def _started(self) -> Any:
        if self._client is None:
            raise NotStarted("the Valkey store")
        return self._client

    @asynccontextmanager
    async def _in_time(
        self, until: float | None = None, *, confirms: bool = False
    ) -> AsyncIterator[float]:
        """Limit an operation, and yield until when it may wait for replicas, by the loop's clock.

        It began earlier if `until` is given.
        """
        self._started()
        until = until or asyncio.get_running_loop().time() + self._timeout
        waiting = self._confirming if confirms and self._min_replicas else nullcontext()
        try:
            async with TimeLimit(until), waiting, self._gate:
                yield until - self._timeout * (1 - _REPLICAS_SHARE)
        except Exception as error:
            raise as_unavailable(error, self._timeout) from error

    def _devices(self, owner: str) -> str:
        return f"{self._prefix}:devices:{owner}"
