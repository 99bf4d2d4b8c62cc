"""The revoked sessions, subjects and tokens, as known in this process."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, TypeVar

from linqi._background import BackgroundTask
from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError, NotStarted, Unavailable
from linqi.events import Dispatcher, Event, Hook, RevocationFeedLost, RevocationFeedRestored
from linqi.jose.verified import Verified
from linqi.sessions.record import Revocation
from linqi.sessions.store import SessionStore

__all__ = ["RevocationState", "Revocations"]

_SWEEP_SECONDS: Final = 10.0
_FIRST_RETRY, _LONGEST_RETRY = 0.1, 2.0
_MOST_LEEWAY: Final = 300.0
_Ends: TypeAlias = tuple[float, float]
"""When a revocation is over: in Unix seconds, and in seconds of the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationState:
    """The state of the feed of revocations."""

    sessions: int
    subjects: int
    tokens: int
    age: float
    """Seconds since the store last answered; infinite before the first time."""
    is_trusted: bool
    """Whether the store answered recently enough to decide by it."""
    last_error: str
    """Why the feed was lost; empty while it is not."""


class Revocations:
    """The revocations that concern valid access tokens, in this process, read from a store.

    `is_revoked` is a plain look-up: pass it to the `Verifier` and to `SlidingRenewal`. What other
    workers revoke arrives by `SessionStore.follow`. If the store does not answer for `stale_after`
    seconds, it is unknown what was revoked meanwhile: `is_revoked` then raises `Unavailable`, which
    the verifier answers with 503.

    A revocation is kept for the longest lifetime that access tokens of the deployment ever had, not
    for today's setting. The store holds that number and never lowers it.

    Args:
        store: Where revocations are published.
        stale_after: Seconds, 2 to infinity. Infinity goes on without the store, and misses what
            was revoked meanwhile.
        longest_lifetime: Raises the longest lifetime of access tokens, in seconds, as
            ``longest_lifetime_seconds`` of ``linqi.toml`` does; up to 366 days. 0 leaves it to the
            store and to `Sessions`, which raises it to its own access lifetime.
        hooks: Receive `RevocationFeedLost` and `RevocationFeedRestored`.
        clock: Returns Unix seconds.
        monotonic: Returns seconds that never step back.
        sleep: Waits for the given seconds.

    Raises:
        ConfigurationError: A number is out of range.

    """

    RANGES: ClassVar[Ranges] = {
        "stale_after": Range(2, math.inf, "seconds"),
        "longest_lifetime": Range(0, 366 * DAY, "seconds"),
    }

    def __init__(
        self,
        store: SessionStore,
        *,
        stale_after: float = 10.0,
        longest_lifetime: float = 0.0,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        values = {"stale_after": stale_after, "longest_lifetime": longest_lifetime}
        if faults := range_faults(self.RANGES, values):
            raise ConfigurationError(faults)
        self._store = store
        self._longest_lifetime = float(longest_lifetime)
        self._issuer: str | None = None
        self._is_started = False
        self._stale_after = stale_after
        self._is_patient = stale_after == math.inf
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._sessions: dict[str, _Ends] = {}
        self._tokens: dict[str, _Ends] = {}
        self._subjects: dict[str, dict[Revocation, _Ends]] = {}
        self._received_at = -math.inf
        self._trusted_until = -math.inf
        self._swept_at = -math.inf
        self._last_error = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._follower = BackgroundTask(
            "follower of revocations", self._follow, events=self._events, sleep=sleep
        )
        self._first = asyncio.Event()

    def belong_to(self, issuer: str) -> None:
        """Restrict the revocations to tokens of `issuer`; `Sessions` does so with its signer's.

        A subject or session id is unique within its issuer only (RFC 7519, section 4.1.2). Until
        this is called, they concern the tokens of all own issuers.

        Raises:
            ConfigurationError: They belong to another issuer already.

        """
        if self._issuer not in (None, issuer):
            raise ConfigurationError(
                [f"these revocations belong to {self._issuer!r}, not to {issuer!r}: make others"]
            )
        self._issuer = issuer

    def is_revoked(self, verified: Verified) -> bool:
        """Return whether `verified` was revoked.

        Raises:
            Unavailable: The store did not answer for `stale_after` seconds, so that is unknown.

        """
        if self._monotonic() >= self._trusted_until or (
            self._is_patient and self._is_loop_closed()
        ):
            raise self._unknown()
        # Asked only where there is something to find: each name is read from the claims once, and
        # then stands in its slot, which is 0.1 us nearer than the property.
        if self._sessions and (verified._session_id or verified.session_id) in self._sessions:
            return self._is_ours(verified)
        if self._tokens and verified.token_id in self._tokens:
            return self._is_ours(verified)
        if self._subjects and verified.subject in self._subjects and self._is_ours(verified):
            return self._is_subject_revoked(verified)
        return False

    @property
    def longest_lifetime(self) -> float:
        """The longest life of an own access token, in seconds; infinite while none is known.

        Revocations are kept for so long, so the `Verifier` refuses own tokens that live longer.
        """
        return self._longest_lifetime or math.inf

    def raise_lifetime(self, seconds: float) -> None:
        """Raise the longest lifetime of own tokens to `seconds`; a longer one stays."""
        self._longest_lifetime = max(self._longest_lifetime, seconds)

    async def agree_on_lifetime(self) -> float:
        """Return the longest life of the deployment's tokens, after raising the store's to ours.

        A store that lost it, as in a failover, gets it again.

        Raises:
            Unavailable: The store cannot be reached.

        """
        self.raise_lifetime(await self._store.raise_lifetime(self._longest_lifetime))
        return self._longest_lifetime

    def knows(self, session_id: str) -> bool:
        """Return whether this process knows that the session is revoked."""
        return session_id in self._sessions

    def add(self, revocations: Sequence[Revocation]) -> None:
        """Refuse what `revocations` name from now on; one may be added more than once."""
        for revocation in revocations:
            if revocation.kind == "session":
                _keep(self._sessions, revocation.value, self._ends_of(revocation))
            elif revocation.kind == "token":
                _keep(self._tokens, revocation.value, self._ends_of(revocation))
            elif revocation.kind == "lifetime":
                self.raise_lifetime(float(revocation.value))
            else:
                known = {**self._subjects.get(revocation.value, {})}
                _keep(known, revocation, self._ends_of(revocation))
                self._subjects[revocation.value] = known

    async def start(self) -> None:
        """Start to follow the store, and wait up to 5 s for the existing revocations.

        Returns without them if they do not arrive: requests get 503 until they do.
        """
        self._is_started = True
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Nothing was received since the other loop ended, whatever `stale_after` is.
            self._loop, self._first = loop, asyncio.Event()
            self._trusted_until = -math.inf
        self._follower.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._first.wait()

    async def close(self) -> None:
        """Stop following the store."""
        await self._follower.close()

    def listen(self, *hooks: Hook) -> None:
        """Send events to `hooks` too; a hook that was added before is not added again."""
        self._events.add(*hooks)

    def state(self) -> RevocationState:
        """Return the state of the feed."""
        now = self._monotonic()
        return RevocationState(
            sessions=len(self._sessions),
            subjects=len(self._subjects),
            tokens=len(self._tokens),
            age=now - self._received_at,
            is_trusted=now < self._trusted_until,
            last_error=self._last_error,
        )

    async def _follow(self) -> None:
        """Follow the store without end; after each loss read all revocations again."""
        retry = _FIRST_RETRY
        while True:
            received_at = self._received_at
            try:
                await self.agree_on_lifetime()
                await self._store.follow(self._clock(), self._receive)
                error = "the store ended the feed"
            except Unavailable as failed:
                error = failed.detail
            except Exception as failed:  # noqa: BLE001 - a feed that ends silently would be worse
                error = f"{type(failed).__name__}: {failed}"
            if self._received_at > received_at:
                retry = _FIRST_RETRY
            if not self._last_error:
                self._events(RevocationFeedLost(detail=error, served_for=self._left()))
            self._last_error = error
            await self._sleep(retry * (0.5 + random.random() / 2))  # noqa: S311 - spreads workers
            retry = min(retry * 2, _LONGEST_RETRY)

    def _receive(self, revocations: Sequence[Revocation]) -> None:
        self.add(revocations)
        now = self._monotonic()
        self._received_at = now
        self._trusted_until = now + self._stale_after
        if self._last_error:
            self._last_error = ""
            self._events(RevocationFeedRestored())
        if now - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = now
            self._sweep(self._clock(), now)
        self._first.set()

    def _ends_of(self, revocation: Revocation) -> _Ends:
        left = max(0.0, revocation.until - self._clock())
        # No token of ours lives longer, so a clock that was wrong here keeps nothing for ever.
        return revocation.until, self._monotonic() + min(left, self.longest_lifetime + _MOST_LEEWAY)

    def _sweep(self, now: float, moment: float) -> None:
        """Delete the revocations that concern no valid token any more.

        They must be over by both clocks: while the system's clock is wrong and ahead, nothing is
        deleted that would be valid again once it is set back.
        """
        for entries in (self._sessions, self._tokens):
            for value in [v for v, ends in entries.items() if _are_over(ends, now, moment)]:
                del entries[value]
        for subject, known in [*self._subjects.items()]:
            alive = {one: e for one, e in known.items() if not _are_over(e, now, moment)}
            if alive:
                self._subjects[subject] = alive
            else:
                del self._subjects[subject]

    def _unknown(self) -> Unavailable:
        if not self._is_started:
            return NotStarted("the feed of revocations")
        reason = self._last_error or "the store has not answered yet"
        return Unavailable(f"revocations are not known: {reason}")

    def _is_ours(self, verified: Verified) -> bool:
        return verified.own and self._issuer in (None, verified.issuer)

    def _is_subject_revoked(self, verified: Verified) -> bool:
        began = verified.auth_time
        if began is None:
            began = verified.issued_at or 0
        return any(
            began < revocation.at and verified.session_id != (revocation.kept_session or None)
            for revocation in self._subjects[verified.subject or ""]
        )

    def _is_loop_closed(self) -> bool:
        return self._loop is None or self._loop.is_closed()

    def _left(self) -> float:
        return max(0.0, self._trusted_until - self._monotonic())


_Name = TypeVar("_Name", str, Revocation)


def _keep(entries: dict[_Name, _Ends], name: _Name, ends: _Ends) -> None:
    """Add a revocation; of two ends of the same one, the later stays."""
    until, moment = entries.get(name, ends)
    entries[name] = max(until, ends[0]), max(moment, ends[1])


def _are_over(ends: _Ends, now: float, moment: float) -> bool:
    return ends[0] <= now and ends[1] <= moment
