"""The keys of AWS Application Load Balancers: one PEM at a URL of its own for each key id."""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cachetools import TTLCache

from linqi._background import BackgroundTask
from linqi._reference_count import ReferenceCount
from linqi._single_flight import SingleFlight
from linqi.errors import FetchFailed, InvalidKey, Unavailable, UnknownKey
from linqi.events import Dispatcher, Event, Hook, KeysExpired, KeysNotFetched, KeysRefreshed
from linqi.jose.issuers import AnyAudience, TrustedIssuer
from linqi.jose.key import Key
from linqi.jwks.alb_url import alb_keys_url
from linqi.jwks.discovery import fetch_document
from linqi.jwks.freshness import RefreshSettings, Schedule
from linqi.jwks.http import HttpFetch, RemoteLimits
from linqi.jwks.kid_queue import KidQueue

__all__ = ["AlbKeys"]

_ALGORITHM: Final = "ES256"
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A key id becomes part of a URL: only a UUID does, so that no token chooses another path."""
_GONE: Final = frozenset({403, 404, 410})
"""Statuses of a key that does not exist; the storage behind the URLs says 403 for it."""


@dataclass(slots=True)
class _Held:
    key: Key
    schedule: Schedule
    is_used: bool = False
    """Whether it was looked up since it was fetched."""
    has_expired: bool = False
    """Whether `KeysExpired` was sent."""


class AlbKeys:
    """The keys of load balancers, each fetched when the first token names it.

    A known key id is a look-up without waiting, and its key is kept fresh by the rules of
    `RemoteKeys`: fetched again in the background while it is used, trusted for a bounded time while
    AWS does not answer, dropped when it is gone. A key id must be a UUID. Requests with one unknown
    key id share one fetch. Each made-up one would cause another, so that there are at most
    `RemoteLimits.new_kids` within `RefreshSettings.cooldown`; the key id that requests name most
    often goes first.

    Args:
        issuer: The exact ``iss``: that of the identity provider which the load balancer uses.
        signer: The ARN of the load balancer, or a list of them.
        url: The URL before the key id; by default that of AWS for the region of the ARN.
        refresh: How often a key is fetched, and how long it is trusted.
        limits: The limits on time, size, the number of keys and unknown key ids.
        client: An `httpx2.AsyncClient`, for a proxy; it is not closed.
        hooks: Receive the events; `JWTMiddleware` adds its own hooks.
        clock: Returns Unix seconds.
        monotonic: Returns a monotonic clock in seconds.
        sleep: Waits between two fetches.
        chance: Returns a random number from 0 to 1.

    Raises:
        ConfigurationError: An argument is invalid; lists every fault.

    """

    def __init__(
        self,
        issuer: str,
        signer: str | Sequence[str],
        *,
        url: str | None = None,
        refresh: RefreshSettings | None = None,
        limits: RemoteLimits | None = None,
        client: Any = None,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.issuer = issuer
        self.signers = (signer,) if isinstance(signer, str) else tuple(signer)
        self.url = alb_keys_url(self.signers, url)
        self.generation = 0
        self.requests = 0
        """How often this process requested a key."""
        self._settings = refresh or RefreshSettings()
        chosen = limits or RemoteLimits()
        self._http = HttpFetch(chosen, client)
        self._most_keys = chosen.max_keys
        self._held: dict[str, _Held] = {}
        self._unknown: TTLCache[str, bool] = TTLCache(
            chosen.unknown_kids, chosen.unknown_seconds, monotonic
        )
        self._failed: TTLCache[str, str] = TTLCache(
            chosen.unknown_kids, self._settings.cooldown, monotonic
        )
        self._queue = KidQueue(chosen.new_kids, self._settings.cooldown, monotonic)
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._clock, self._monotonic = clock, monotonic
        self._sleep, self._chance = sleep, chance
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starts = ReferenceCount()
        self._keeper = BackgroundTask(
            f"load balancer keys of {issuer}", self._keep_fresh, events=self._events, sleep=sleep
        )
        self._flight: SingleFlight[str, None] = SingleFlight()

    @property
    def trusted_until(self) -> float:
        """The monotonic instant from which the next of the keys is too old to be trusted."""
        now = self._monotonic()
        ends = [held.schedule.trusted_until for held in self._held.values()]
        return min((end for end in ends if end > now), default=math.inf)

    @property
    def kids(self) -> tuple[str, ...]:
        """The ids of the keys at hand."""
        return tuple(self._held)

    def trust(self, audience: str | Sequence[str] | AnyAudience, **options: Any) -> TrustedIssuer:
        """Return the issuer with these keys.

        Args:
            audience: The client id that the load balancer has at the identity provider.
            options: Those of `TrustedIssuer`.

        """
        return TrustedIssuer(
            issuer=self.issuer,
            audience=audience,
            keys=self,
            algorithms=(_ALGORITHM,),
            alb_signer=self.signers,
            **options,
        )

    def listen(self, *hooks: Hook) -> None:
        """Add `hooks`; a hook that is added twice is called once."""
        self._events.add(*hooks)

    def find(self, alg: str, kid: str | None) -> Key:
        """Return the key for a token header, without waiting.

        After either error `fetch_for` may bring the key.

        Raises:
            UnknownKey: There is no such key, or none was fetched yet.
            Unavailable: The key is too old to be trusted, or could not be fetched.

        """
        if kid is None or alg != _ALGORITHM:
            raise UnknownKey(f"load balancers name a key and sign by {_ALGORITHM}")
        held = self._held.get(kid)
        if held is not None and self._monotonic() < held.schedule.trusted_until:
            held.is_used = True
            return held.key
        if held is not None or kid in self._failed:
            why = self._failed.get(kid, "it is too old to be trusted")
            wait = self._settings.cooldown
            raise Unavailable(f"a key of {self.issuer} is missing: {why}", retry_after=wait)
        raise UnknownKey("no key of the load balancer with that kid was fetched")

    async def fetch_for(self, alg: str, kid: str | None) -> bool:
        """Wait for the fetch of the key for a token header, if one is allowed now.

        Returns:
            Whether a fetch was made, so that another `find` may succeed.

        """
        if kid is None or alg != _ALGORITHM or _KEY_ID.fullmatch(kid) is None:
            return False
        if not self._flight.has(kid):
            if kid in self._unknown or kid in self._failed:
                return False
            if kid not in self._held and not self._queue.admits(kid):
                return False
        self._keep_here()
        await self._flight(kid, lambda: self._attempt(kid))
        return True

    async def start(self) -> None:
        """Keep the keys fresh from now on; the first is fetched when a token names it."""
        self._starts.acquire()
        self._keep_here()

    async def close(self) -> None:
        """Stop the background fetches after as many calls as of `start`."""
        if not self._starts.release():
            return
        if self._loop is asyncio.get_running_loop():
            self._flight.close()
        await self._keeper.close()

    def __repr__(self) -> str:
        return f"<AlbKeys {self.issuer} {len(self._held)} keys>"

    def _keep_here(self) -> None:
        """Keep the keys fresh on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._flight = loop, SingleFlight()
            self._http.forget()
        self._keeper.start()

    async def _keep_fresh(self) -> None:
        try:
            while True:
                now = self._monotonic()
                for kid, held in tuple(self._held.items()):
                    if now >= held.schedule.next_attempt_at:
                        await self._refresh(kid, held)
                # No key is due within a cooldown of its first fetch.
                await self._sleep(self._settings.cooldown / 2)
        finally:
            await self._http.aclose()

    async def _refresh(self, kid: str, held: _Held) -> None:
        """Fetch a key again, or drop one that no token named since the last time."""
        if held.is_used:
            await self._flight(kid, lambda: self._attempt(kid))
        else:
            self._drop(kid)

    async def _attempt(self, kid: str) -> None:
        started = self._monotonic()
        self.requests += 1
        try:
            document = await fetch_document(
                self._http, f"{self.url}/{kid}", "", self._settings, self._clock()
            )
            key = _key_in(document.body or b"", kid)
        except Exception as error:  # noqa: BLE001 - no error may end the task or cause a 500
            self._fail(kid, started, error)
            return
        self._adopt(kid, key, started, document.lifetime)

    def _adopt(self, kid: str, key: Key, started: float, lifetime: float) -> None:
        schedule = Schedule(settings=self._settings).succeeded(started, lifetime, self._chance())
        held = self._held.get(kid)
        if held is None:
            if len(self._held) >= self._most_keys:
                used_least = min(
                    self._held, key=lambda one: (self._held[one].is_used, self._fetched_at(one))
                )
                self._drop(used_least)
        elif (
            not held.key.is_same(key)
            or schedule.trusted_until < held.schedule.trusted_until  # cached until the later end
        ):
            self.generation += 1
        self._held[kid] = _Held(key, schedule)
        self._failed.pop(kid, None)
        self._report(added=() if held is not None else (kid,), lifetime=lifetime)

    def _fetched_at(self, kid: str) -> float:
        return self._held[kid].schedule.fetched_at or 0.0

    def _fail(self, kid: str, started: float, error: Exception) -> None:
        is_known = isinstance(error, FetchFailed | InvalidKey)
        detail = str(error) if is_known else f"{type(error).__name__}: {error}"
        held = self._held.get(kid)
        if isinstance(error, FetchFailed) and error.status in _GONE:
            if held is None:
                self._unknown[kid] = True
                return
            if error.status != 403:
                self._drop(kid)
                return
        self._failed[kid] = detail
        failures, trusted_for, retry_in = 1, 0.0, self._settings.cooldown
        now = self._monotonic()
        if held is not None:
            wait = error.retry_after if isinstance(error, FetchFailed) else None
            held.schedule = held.schedule.failed(started, self._chance(), asked_wait=wait or 0)
            failures = held.schedule.failures
            retry_in = max(0.0, held.schedule.next_attempt_at - now)
            trusted_for = max(0.0, held.schedule.trusted_until - now)
            if not trusted_for and not held.has_expired:
                held.has_expired = True
                self._events(KeysExpired(issuer=self.issuer, age=now - self._fetched_at(kid)))
        self._events(
            KeysNotFetched(
                issuer=self.issuer,
                detail=detail,
                failures=failures,
                retry_in=retry_in,
                trusted_for=trusted_for,
            )
        )

    def _drop(self, kid: str) -> None:
        del self._held[kid]
        self.generation += 1
        self._report(removed=(kid,))

    def _report(
        self, *, added: tuple[str, ...] = (), removed: tuple[str, ...] = (), lifetime: float = 0
    ) -> None:
        self._events(
            KeysRefreshed(
                issuer=self.issuer,
                keys=len(self._held),
                added=added,
                removed=removed,
                lifetime=lifetime,
            )
        )


def _key_in(body: bytes, kid: str) -> Key:
    key = Key.from_pem(body, _ALGORITHM, kid=kid)
    if key.can_sign:
        raise InvalidKey("the private key is published: anyone can sign with it")
    return key
