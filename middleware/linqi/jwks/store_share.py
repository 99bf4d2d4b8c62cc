"""A snapshot in a store through which the workers of several machines share one fetch."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex
from typing import Final

import msgspec

from linqi import _base64url
from linqi._notes import NoteStore
from linqi.errors import ConfigurationError, FetchFailed, InvalidKey, NotStarted, Unavailable
from linqi.jose.claims import LONGEST_LEEWAY
from linqi.jose.keys import KeySet, Secrets, secrets_in
from linqi.jwks.snapshot import Snapshot

__all__ = ["StoreShare"]

_SET, _TURN = "set", "turn"
_POLL_SECONDS: Final = 0.1
_START_SECONDS: Final = 5.0
"""How long to wait at the start for the store, which starts at the same time."""


class StoreShare:
    """Shares the key sets of outside issuers through a store; pass it as ``share`` of `RemoteKeys`.

    A snapshot carries a MAC. Who can write the store but has none of the `secrets` cannot make a
    key set that is used, and can repeat an old one only for as long as it was trusted anyway.

    Args:
        notes: ``store.notes()`` of a store that is one of the middleware's services.
        secrets: HMAC secrets that all workers have, such as those of the refresh tokens, in each
            form that `Sessions` takes. The newest that may sign makes the MAC, all check it.

    Raises:
        ConfigurationError: A secret is no HMAC secret.

    """

    def __init__(self, notes: NoteStore, secrets: Secrets) -> None:
        self._secrets = secrets if isinstance(secrets, KeySet) else KeySet(secrets_in(secrets))
        if any(key.kty != "oct" for key in self._secrets.keys):
            raise ConfigurationError(["a secret of StoreShare is no HMAC secret"])
        self._notes = notes

    def of(
        self,
        issuer: str,
        source: str = "",
        *,
        wait_seconds: float,
        lease_seconds: float,
        kept_seconds: float,
        most_bytes: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> _SharedNote:
        """Return the shared snapshot of `issuer`.

        Args:
            issuer: The issuer.
            source: Tells its key sets apart, where it has several.
            wait_seconds: How long ``turn`` waits for other workers.
            lease_seconds: When the turn of a worker that died ends.
            kept_seconds: How long a snapshot is kept.
            most_bytes: A longer key set is not read.
            clock: Returns Unix seconds.
            monotonic: Returns seconds that never step back.
            sleep: Waits between two attempts.

        """
        return _SharedNote(
            self._notes,
            self._secrets,
            issuer,
            source,
            seconds=(wait_seconds, lease_seconds, kept_seconds),
            most_bytes=most_bytes,
            clock=clock,
            monotonic=monotonic,
            sleep=sleep,
        )


class _SharedNote:
    """The `SharedSnapshot` of one issuer in a store.

    What is read counts no more than a response of the issuer: the caller parses it with the same
    limits. The URL and the ETag of another worker are not used, so that no request goes where the
    store says, and no 304 confirms a set that this worker did not fetch. Instants are moved by the
    note's age on the store's clock, so that the clocks of the workers need not agree.
    """

    def __init__(
        self,
        notes: NoteStore,
        secrets: KeySet,
        issuer: str,
        source: str,
        *,
        seconds: tuple[float, float, float],
        most_bytes: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self.fault = ""
        self._notes = notes
        self._secrets = secrets
        self._issuer = issuer
        self._name = f"{issuer}\n{source}"
        self._wait_seconds, self._lease_seconds, self._kept_seconds = seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._kind = f"jwks.{hashlib.sha256(self._name.encode()).hexdigest()[:16]}"
        self._holder = token_hex(8)
        self._leased_until = -math.inf
        self._is_started = False
        self._last: tuple[str, Snapshot] | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the turn while this worker sends requests; the others then find its snapshot.

        Raises:
            FetchFailed: Another worker holds it for longer than `wait_seconds`.

        """
        try:
            await self._claim()
        except Unavailable as error:
            self.fault = f"cannot take turns: {error.detail}"
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(Unavailable):  # it ends by itself
                await self._notes.drop(self._kind, _TURN, self._holder)

    async def read(self) -> Snapshot | None:
        """Return the shared snapshot; None if it is missing, damaged, too long or of no worker."""
        try:
            note = (await self._notes.read(self._kind)).get(_SET)
        except Unavailable as error:
            self.fault = f"cannot read: {error.detail}"
            return None
        if note is None:
            return None
        mac, _, body = note.text.partition(" ")
        if self._last is not None and self._last[0] == mac:
            return self._last[1]
        snapshot = self._checked(mac, body, note.age)
        if snapshot is None:
            self.fault = "the snapshot in the store is damaged, too old, or of no worker of ours"
            return None
        self._last = mac, snapshot
        return snapshot

    async def write(self, snapshot: Snapshot) -> None:
        """Replace the shared snapshot, unless the turn has passed to another worker."""
        if self._monotonic() >= self._leased_until:
            return  # this process was stopped: another worker has a newer one
        shared = msgspec.structs.replace(snapshot, url="", etag="")
        now = self._clock()
        body = f"{now!r} {shared.to_json()}"
        mac = _base64url.encode(self._secrets.signing_key(now).sign(self._signed(body))).decode()
        try:
            await self._notes.put(self._kind, _SET, f"{mac} {body}", self._kept_seconds)
        except Unavailable as error:
            self.fault = f"cannot write: {error.detail}"
            return
        self._last = mac, snapshot
        self.fault = ""

    async def _claim(self) -> None:
        began = self._monotonic()
        while True:
            try:
                at = self._monotonic()
                arguments = (self._kind, _TURN, self._holder, self._lease_seconds)
                if await self._notes.claim(*arguments):
                    self._leased_until, self._is_started = at + self._lease_seconds, True
                    return
            except NotStarted:
                longest = min(_START_SECONDS, self._wait_seconds)
                if self._is_started or self._monotonic() - began >= longest:
                    self._is_started = True  # it is not waited for again
                    raise
            if self._monotonic() - began >= self._wait_seconds:
                raise FetchFailed("another worker has been fetching the keys for too long")
            await self._sleep(_POLL_SECONDS)

    def _checked(self, mac: str, body: str, age: float) -> Snapshot | None:
        """Return the snapshot in `body`, with its instants on this worker's clock."""
        try:
            signature = _base64url.decode(mac)
        except ValueError:
            return None
        # In constant time, by `Key.verify`, or the MAC could be guessed byte by byte.
        if not any(key.verify(self._signed(body), signature) for key in self._secrets.keys):
            return None
        written, _, text = body.partition(" ")
        try:
            snapshot, written_at = Snapshot.from_json(text), float(written)
        except (InvalidKey, ValueError):  # of another release
            return None
        # A note that was put back says less than its age; the writer's clock bounds that.
        passed = max(age, self._clock() - written_at - LONGEST_LEEWAY)
        if snapshot.issuer != self._issuer or len(snapshot.jwks.encode()) > self._most_bytes:
            return None
        if passed > self._kept_seconds:
            return None
        moved = self._clock() - passed - written_at
        return msgspec.structs.replace(
            snapshot,
            fetched_at=_moved(snapshot.fetched_at, moved),
            attempted_at=_moved(snapshot.attempted_at, moved),
            forced_at=_moved(snapshot.forced_at, moved),
            retry_at=_moved(snapshot.retry_at, moved),
        )

    def _signed(self, body: str) -> bytes:
        return f"linqi key set share v2\n{self._name}\n{body}".encode()


def _moved(instant: float, by: float) -> float:
    return instant + by if instant else 0.0
