"""The keys of an outside issuer: a look-up for known key ids, one shared fetch for unknown ones."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from cachetools import TTLCache

from linqi._background import BackgroundTask
from linqi._reference_count import ReferenceCount
from linqi._single_flight import SingleFlight
from linqi.errors import ConfigurationError, FetchFailed, LinqiError, Unavailable
from linqi.events import (
    Dispatcher,
    Event,
    Hook,
    KeysExpired,
    KeySkipped,
    KeysNotFetched,
    KeysRefreshed,
)
from linqi.jose.issuers import AnyAudience, TrustedIssuer
from linqi.jose.key import Key
from linqi.jose.keys import KeySet
from linqi.jwks.access import RemoteAccess
from linqi.jwks.freshness import RefreshSettings, Schedule
from linqi.jwks.http import HttpFetch, RemoteLimits
from linqi.jwks.jwks_client import JwksClient, KeySetResponse
from linqi.jwks.location import KeySetLocation
from linqi.jwks.published import KeysFormat, SkippedKey, algorithm_faults
from linqi.jwks.sharing import Share, shared_snapshot
from linqi.jwks.snapshot import Snapshot
from linqi.jwks.state import KeysState

__all__ = ["RemoteKeys"]

_FLIGHT: Final = "keys"


class RemoteKeys:
    """The key set of an outside issuer, kept fresh in the background on one event loop.

    A known key id is a look-up without waiting. The set is fetched before its lifetime ends. After
    a failed fetch it is still used until it is too old to be trusted; then every look-up raises
    `Unavailable`. An unknown key id causes at most one fetch, which all waiting requests share and
    none cancels, and only if `RefreshSettings.cooldown` allows it.

    Args:
        issuer: The exact ``iss`` claim of its tokens.
        algorithms: The signature algorithms to accept; HMAC is not allowed.
        url: The key set's URL; None for OpenID Connect Discovery.
        discovery_url: The URL of the metadata, if they are not found by the issuer's URL.
        keys_format: The form of the set: ``"jwks"``, or ``"certificates"`` for a JSON object of key
            ids and PEMs at `url`, as Firebase publishes it.
        access: What a server in a private network needs to be reached.
        refresh: How often the set is fetched, and how long it is trusted.
        limits: The limits on time, size and unknown key ids.
        client: An `httpx2.AsyncClient`, for a proxy or private certificates; it is not closed.
        share: A private folder through which the processes of a machine share one fetch, or a
            `StoreShare` for several machines.
        initial: An earlier `snapshot`, for a cold start without the issuer.
        required: Whether `start` raises if there are no keys.
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
        algorithms: Sequence[str],
        *,
        url: str | None = None,
        discovery_url: str | None = None,
        keys_format: KeysFormat = "jwks",
        access: RemoteAccess | None = None,
        refresh: RefreshSettings | None = None,
        limits: RemoteLimits | None = None,
        client: Any = None,
        share: Share | None = None,
        initial: Snapshot | None = None,
        required: bool = False,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.location = KeySetLocation(
            issuer=issuer,
            url=url,
            discovery_url=discovery_url,
            keys_format=keys_format,
            access=access or RemoteAccess(),
        )
        faults = self.location.faults() + algorithm_faults(algorithms)
        if initial is not None and initial.issuer != issuer:
            faults.append(f"initial is a snapshot of {initial.issuer!r}, not of this issuer")
        if faults:
            raise ConfigurationError(faults)
        self.issuer = issuer
        self.algorithms = tuple(algorithms)
        self.required = required
        self.generation = 0
        self.trusted_until = -math.inf
        self._limits = limits or RemoteLimits()
        self._http = HttpFetch(
            self._limits,
            client,
            access=self.location.access,
            named_url=self.location.configured_url,
        )
        settings = refresh or RefreshSettings()
        self._jwks_client = JwksClient(
            self.location,
            self.algorithms,
            settings=settings,
            limits=self._limits,
            fetch=self._http,
            share=shared_snapshot(
                share, self.location, self.algorithms, settings, self._limits, clock
            ),
            clock=clock,
        )
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._monotonic = monotonic
        self._sleep = sleep
        self._chance = chance
        self._schedule = Schedule(settings=settings)
        self._held: KeySet | None = None
        self._skipped: tuple[SkippedKey, ...] = ()
        self._unknown: TTLCache[tuple[str, str], bool] = TTLCache(
            self._limits.unknown_kids, self._limits.unknown_seconds, monotonic
        )
        self._refused = 0
        self._last_error = ""
        self._has_expired = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starts = ReferenceCount()
        self._keeper = BackgroundTask(
            f"keys of {issuer}", self._keep_fresh, events=self._events, sleep=sleep
        )
        self._flight: SingleFlight[str, bool] = SingleFlight()
        if initial is not None and (saved := self._jwks_client.use_snapshot(initial)) is not None:
            self._adopt(saved, self._monotonic())

    def trust(self, audience: str | Sequence[str] | AnyAudience, **options: Any) -> TrustedIssuer:
        """Return the issuer with these keys; `options` are those of `TrustedIssuer`."""
        return TrustedIssuer(
            issuer=self.issuer,
            audience=audience,
            keys=self,
            algorithms=self.algorithms,
            **options,
        )

    def listen(self, *hooks: Hook) -> None:
        """Add `hooks`; a hook that is added twice is called once."""
        self._events.add(*hooks)

    def find(self, alg: str, kid: str | None) -> Key:
        """Return the key for a token header, without waiting.

        After either error `fetch_for` may bring the key.

        Raises:
            UnknownKey: No key fits, or several do.
            Unavailable: There is no set that is still trusted.

        """
        held = self._held
        if held is None or self._monotonic() >= self.trusted_until:
            raise self._unavailable()
        return held.find(alg, kid)

    async def fetch_for(self, alg: str, kid: str | None) -> bool:
        """Wait for a fetch that may bring the key for a token header, if one is allowed now.

        All waiting requests share one fetch. No fetch is made within the cooldown, for a key id
        that a recent fetch did not bring, or for a token without key id: a set whose keys have no
        ids is fetched by schedule only.

        Returns:
            Whether a fetch was made, so that another `find` may succeed.

        """
        held, now = self._held, self._monotonic()
        if held is None or now >= self.trusted_until:
            if not self._flight and now < self._schedule.retry_at:
                return False
            self._keep_here()
            await self._fly(is_forced=False)
            return True
        if kid is None or held.fits(alg, kid):
            return False
        if (kid, alg) in self._unknown or not (self._flight or self._schedule.may_force(now)):
            self._refused += 1
            return False
        await self._fetch_unknown(kid, alg)
        self._refused += not held.fits(alg, kid)
        return True

    async def start(self) -> None:
        """Fetch the set if there is none, and keep it fresh from now on.

        Waits for at most one attempt; further attempts are made in the background. Several
        middlewares may start one object: the set is fetched once, until the last one closes it.

        Raises:
            Unavailable: There are no keys, and they are `required`.

        """
        self._starts.acquire()
        self._keep_here()
        if self._schedule.status(self._monotonic()) in ("cold", "expired"):
            await self._fly(is_forced=False)
        if self.required and not self.state().is_ready:
            await self.close()
            raise Unavailable(f"no keys of {self.issuer}: {self._last_error}")

    async def close(self) -> None:
        """Stop the background fetches after as many calls as of `start`.

        The keys still verify until they are too old to be trusted.
        """
        if not self._starts.release():
            return
        if self._loop is asyncio.get_running_loop():
            self._flight.close()
        await self._keeper.close()

    def snapshot(self) -> Snapshot | None:
        """Return the set for a later `initial`; None before the first fetch."""
        return self._jwks_client.snapshot if self._held is not None else None

    def state(self) -> KeysState:
        """Return the current state, for readiness probes and operators."""
        now, schedule = self._monotonic(), self._schedule
        is_cold = schedule.fetched_at is None
        return KeysState(
            issuer=self.issuer,
            status=schedule.status(now),
            kids=() if self._held is None else tuple(key.kid for key in self._held.keys),
            skipped=self._skipped,
            last_success=None if is_cold else self._jwks_client.snapshot.fetched_at,
            age=None if schedule.fetched_at is None else now - schedule.fetched_at,
            trusted_for=max(0.0, self.trusted_until - now),
            next_attempt_in=max(0.0, schedule.next_attempt_at - now),
            failures=schedule.failures,
            last_error=self._last_error,
            requests=self._jwks_client.requests,
            refused_kids=self._refused,
            unknown_kids=len(self._unknown),
            share_fault=self._jwks_client.share_fault,
        )

    def __repr__(self) -> str:
        return f"<RemoteKeys {self.issuer} {self._schedule.status(self._monotonic())}>"

    def _unavailable(self) -> Unavailable:
        wait = self._schedule.retry_at - self._monotonic()
        why = self._last_error or "they were not fetched yet"
        return Unavailable(
            f"there are no keys of {self.issuer} that are still trusted: {why}",
            retry_after=max(1.0, wait),
        )

    async def _fetch_unknown(self, kid: str, alg: str) -> None:
        """Wait for a fetch that may bring `kid` for `alg`.

        A fetch that was already under way may have been answered before the key was published:
        then one more is made.
        """
        self._keep_here()
        for _ in range(2):
            is_joined = bool(len(self._flight))
            if not is_joined and not self._schedule.may_force(self._monotonic()):
                return
            is_answer = await self._fly(is_forced=True)
            if self._held is not None and self._held.has(kid, alg):
                return
            if is_answer and not is_joined:
                self._unknown[kid, alg] = True
                return

    def _keep_here(self) -> None:
        """Keep the set fresh on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # The flight and the HTTP client belong to another loop, such as that of another test.
            self._loop, self._flight = loop, SingleFlight()
            self._http.forget()
        self._keeper.start()

    async def _keep_fresh(self) -> None:
        try:
            while True:
                left = self._schedule.next_attempt_at - self._monotonic()
                if left > 0:
                    await self._sleep(left)
                else:
                    await self._fly(is_forced=False)
        finally:
            # Also if the loop ends without `close`, which cancels its tasks.
            await self._http.aclose()

    async def _fly(self, *, is_forced: bool) -> bool:
        """Join the attempt under way or make one; return whether the issuer responded."""
        return await self._flight(_FLIGHT, lambda: self._attempt(is_forced))

    async def _attempt(self, is_forced: bool) -> bool:
        started = self._monotonic()
        self._schedule = self._schedule.started(started, is_forced=is_forced)
        try:
            response = await self._jwks_client.fetch(is_forced=is_forced)
            self._adopt(response, started)
        except Exception as error:  # noqa: BLE001 - no error may end the schedule or cause a 500
            self._fail(started, error)
            return False
        return response.is_own

    def _adopt(self, response: KeySetResponse, started: float) -> None:
        before = () if self._held is None else self._held.keys
        if self._held is None:
            self._held = KeySet(response.published.keys)
        elif response.published.keys != before:
            old = self._held.generation
            self._held.replace(response.published.keys)
            self.generation += self._held.generation - old
        self._schedule = self._schedule.succeeded(
            started - response.age, response.lifetime, self._chance()
        )
        if self._schedule.trusted_until < self.trusted_until:
            self.generation += 1  # cached tokens may last until the later end
        self.trusted_until = self._schedule.trusted_until
        self._last_error, self._has_expired = "", False
        self._report_refreshed(before, response)

    def _fail(self, started: float, error: Exception) -> None:
        is_ours = isinstance(error, LinqiError)
        self._last_error = str(error) if is_ours else f"{type(error).__name__}: {error}"
        now = self._monotonic()
        wait = error.retry_after if isinstance(error, FetchFailed) else None
        self._schedule = self._schedule.failed(
            started, self._chance(), asked_wait=0 if wait is None else now - started + wait
        )
        self._events(
            KeysNotFetched(
                issuer=self.issuer,
                detail=self._last_error,
                failures=self._schedule.failures,
                retry_in=max(0.0, self._schedule.next_attempt_at - now),
                trusted_for=max(0.0, self.trusted_until - now),
                fresh_for=max(0.0, self._schedule.fresh_until - now),
            )
        )
        if self._schedule.status(now) == "expired" and not self._has_expired:
            self._has_expired = True
            age = now - (self._schedule.fetched_at or 0)
            self._events(KeysExpired(issuer=self.issuer, age=age))

    def _report_refreshed(self, before: Sequence[Key], response: KeySetResponse) -> None:
        old = {key.kid for key in before}
        new = {key.kid for key in response.published.keys}
        self._events(
            KeysRefreshed(
                issuer=self.issuer,
                keys=len(new),
                added=tuple(sorted(new - old)),
                removed=tuple(sorted(old - new)),
                lifetime=response.lifetime,
            )
        )
        known, self._skipped = self._skipped, response.published.skipped
        for skipped in self._skipped:
            if skipped.is_fault and skipped not in known:
                self._events(
                    KeySkipped(
                        issuer=self.issuer,
                        position=skipped.position,
                        kid=skipped.kid,
                        reason=skipped.reason,
                        detail=skipped.detail,
                    )
                )
