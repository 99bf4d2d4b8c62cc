"""The keys of an outside issuer: known ones at once, new ones by one fetch for all who wait."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
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
from linqi.jwks.freshness import RefreshSettings, Schedule
from linqi.jwks.http import HttpFetch, RemoteLimits, url_fault
from linqi.jwks.jwks_client import JwksClient, KeySetResponse
from linqi.jwks.published import SIGNATURES, SkippedKey
from linqi.jwks.shared_file import SharedFile
from linqi.jwks.snapshot import Snapshot
from linqi.jwks.state import KeysState

__all__ = ["RemoteKeys"]

_FLIGHT: Final = "keys"
_WAIT_FACTOR: Final = 2.5
"""Timeouts to wait for the neighbours' turns: one that hangs, and some that only look."""


class RemoteKeys:
    """The key set that `issuer` publishes, kept fresh in the background of one event loop.

    A known key id is a plain look-up. The set is fetched ahead of its end, so that a warm one
    makes nobody wait; a failed fetch leaves it as it is until it is too old to be believed, after
    which every look-up raises `Unavailable`. An unknown key id waits for at most one fetch, which
    all that wait share and none of them cancels, and only while `RefreshSettings.cooldown` allows.

    Without `url` the set is found by OpenID Connect Discovery. `algorithms`: which signatures
    count, no HMACs. `client`: an `httpx2.AsyncClient` of your own, for a proxy or private
    certificates; it is used as it is and not closed. `share`: a private folder through which the
    processes of a machine ask as one. `initial`: what `snapshot` gave earlier, for a cold start
    without the issuer. `required`: `start` fails while there are no keys. `hooks`: receive what
    happens; `JWTMiddleware` adds its own.
    """

    def __init__(
        self,
        issuer: str,
        algorithms: Sequence[str],
        *,
        url: str | None = None,
        refresh: RefreshSettings | None = None,
        limits: RemoteLimits | None = None,
        client: Any = None,
        share: str | Path | None = None,
        initial: Snapshot | None = None,
        required: bool = False,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if faults := _faults(issuer, url, algorithms, initial):
            raise ConfigurationError(faults)
        self.issuer = issuer
        self.algorithms = tuple(algorithms)
        self.required = required
        self.generation = 0
        self.trusted_until = -math.inf
        self._limits = limits or RemoteLimits()
        self._http = HttpFetch(self._limits, client)
        wait = self._limits.timeout * _WAIT_FACTOR
        self._jwks_client = JwksClient(
            issuer,
            self.algorithms,
            url=url,
            settings=refresh or RefreshSettings(),
            limits=self._limits,
            fetch=self._http,
            share=None if share is None else SharedFile(share, issuer, wait_seconds=wait),
            clock=clock,
        )
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._monotonic = monotonic
        self._sleep = sleep
        self._chance = chance
        self._schedule = Schedule(settings=refresh or RefreshSettings())
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
        if initial is not None and (answer := self._jwks_client.use_snapshot(initial)) is not None:
            self._adopt(answer, self._monotonic())

    def trust(self, audience: str | Sequence[str] | AnyAudience, **options: Any) -> TrustedIssuer:
        """Give the issuer to trust by these keys; `options` as for `TrustedIssuer`."""
        return TrustedIssuer(
            issuer=self.issuer,
            audience=audience,
            keys=self,
            algorithms=self.algorithms,
            **options,
        )

    def listen(self, *hooks: Hook) -> None:
        """Call `hooks` too, each once however often it is added."""
        self._events.add(*hooks)

    def find(self, alg: str, kid: str | None) -> Key:
        """Give the one key for a header, at once.

        `UnknownKey` when none or several fit, `Unavailable` while no set is trusted; `fetch_for`
        may change either.
        """
        held = self._held
        if held is None or self._monotonic() >= self.trusted_until:
            raise self._unavailable()
        return held.find(alg, kid)

    async def fetch_for(self, alg: str, kid: str | None) -> bool:
        """Wait for a fetch that may bring the key for a header, if one may be made now.

        All that wait share one fetch. None is made for a key id that the issuer was lately asked
        for, within the cooldown, or for no key id at all: a set whose keys have no ids is renewed
        by schedule.

        Returns:
            Whether a fetch was waited for, so that another `find` may succeed.

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

        Waits at most for one attempt. `Unavailable` when the keys are `required` and not there;
        without `required` they are tried for again in the background. Several may start the same
        keys, such as two middlewares: the set is fetched once, until the last of them closes it.
        """
        self._starts.acquire()
        self._keep_here()
        if self._schedule.status(self._monotonic()) in ("cold", "expired"):
            await self._fly(is_forced=False)
        if self.required and not self.state().is_ready:
            await self.close()
            raise Unavailable(f"no keys of {self.issuer}: {self._last_error}")

    async def close(self) -> None:
        """Stop keeping the set fresh, unless another that started it goes on.

        What is held goes on verifying until it is too old.
        """
        if not self._starts.release():
            return
        if self._loop is asyncio.get_running_loop():
            self._flight.close()
        await self._keeper.close()

    def snapshot(self) -> Snapshot | None:
        """Give the set for a later `initial`; None before the first fetch."""
        return self._jwks_client.snapshot if self._held is not None else None

    def state(self) -> KeysState:
        """Give what is known and what will be done, as it stands."""
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
        why = self._last_error or "it was not asked yet"
        return Unavailable(
            f"no keys of {self.issuer} that are young enough: {why}",
            retry_after=max(1.0, wait),
        )

    async def _fetch_unknown(self, kid: str, alg: str) -> None:
        """Wait for a fetch that may bring `kid` for `alg`.

        One that was under way already may have asked before the key was there: then once more.
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
        """Have the set kept fresh on the running loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # What belonged to another loop, such as that of an earlier test, is no use here.
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
            # Also where the loop ends without `close`, which cancels its tasks.
            await self._http.aclose()

    async def _fly(self, *, is_forced: bool) -> bool:
        """Wait for the one attempt under way, or make it; tell whether the issuer answered."""
        return await self._flight(_FLIGHT, lambda: self._attempt(is_forced))

    async def _attempt(self, is_forced: bool) -> bool:
        started = self._monotonic()
        self._schedule = self._schedule.started(started, is_forced=is_forced)
        try:
            answer = await self._jwks_client.fetch(is_forced=is_forced)
            self._adopt(answer, started)
        except Exception as error:  # noqa: BLE001 - nothing may end the keeping, or become a 500
            self._fail(started, error)
            return False
        return answer.is_own

    def _adopt(self, answer: KeySetResponse, started: float) -> None:
        before = () if self._held is None else self._held.keys
        if self._held is None:
            self._held = KeySet(answer.published.keys)
        elif answer.published.keys != before:
            old = self._held.generation
            self._held.replace(answer.published.keys)
            self.generation += self._held.generation - old
        self._schedule = self._schedule.succeeded(
            started - answer.age, answer.lifetime, self._chance()
        )
        self.trusted_until = self._schedule.trusted_until
        self._last_error, self._has_expired = "", False
        self._tell_refreshed(before, answer)

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
            )
        )
        if self._schedule.status(now) == "expired" and not self._has_expired:
            self._has_expired = True
            age = now - (self._schedule.fetched_at or 0)
            self._events(KeysExpired(issuer=self.issuer, age=age))

    def _tell_refreshed(self, before: Sequence[Key], answer: KeySetResponse) -> None:
        old = {key.kid for key in before}
        new = {key.kid for key in answer.published.keys}
        self._events(
            KeysRefreshed(
                issuer=self.issuer,
                keys=len(new),
                added=tuple(sorted(new - old)),
                removed=tuple(sorted(old - new)),
                lifetime=answer.lifetime,
            )
        )
        known, self._skipped = self._skipped, answer.published.skipped
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


def _faults(issuer: object, url: object, algorithms: object, initial: Snapshot | None) -> list[str]:
    faults = []
    # With an explicit url the issuer is only compared, and may be any text.
    fetched, what = (issuer, "the issuer") if url is None else (url, "url")
    if (fault := url_fault(fetched, what)) is not None:
        faults.append(fault)
    elif url is None and "?" in str(issuer):
        faults.append("the issuer has a query, so it has no discovery document; pass url=")
    if not isinstance(issuer, str) or not issuer:
        faults.append("the issuer is not a non-empty string; give the exact iss claim")
    if isinstance(algorithms, str) or not isinstance(algorithms, Sequence) or not algorithms:
        faults.append("algorithms is not a non-empty list of names, such as ['RS256']")
    else:
        faults += [
            f"algorithm {name!r} is not one of {', '.join(SIGNATURES)}; a published key set"
            " holds no secrets"
            for name in algorithms
            if name not in SIGNATURES
        ]
    if initial is not None and initial.issuer != issuer:
        faults.append(f"initial is a snapshot of {initial.issuer!r}, not of this issuer")
    return faults
