"""The revoked sessions, subjects and tokens, and changed claims, as known in this process."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from linqi._background import BackgroundTask
from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import (
    ConfigurationError,
    NotStarted,
    StaleClaims,
    Unavailable,
)
from linqi.events import (
    ClaimsOutdated,
    Dispatcher,
    Event,
    Hook,
    RevocationFeedLost,
    RevocationFeedRestored,
)
from linqi.jose.claims import LONGEST_LEEWAY
from linqi.jose.verified import Verified
from linqi.sessions._claims import check_subject
from linqi.sessions.claims_marks import claims_at_of, is_stale, next_mark
from linqi.sessions.known_revocations import KnownRevocations
from linqi.sessions.record import EVERY_SUBJECT, Revocation, claims_changed
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.store import SessionStore

__all__ = ["RevocationState", "Revocations"]

_SWEEP_SECONDS: Final = 0.5
"""At least, from one part of the tables to the next; the whole is swept in 64 to 128 s."""
_FIRST_RETRY, _LONGEST_RETRY = 0.1, 2.0
_NO_SESSION: Final = "no-session"
"""The id of none: ids have 30 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationState:
    """The state of the feed of revocations."""

    sessions: int
    subjects: int
    tokens: int
    claims: int
    """Subjects whose claims changed."""
    age: float
    """Seconds since the store last answered; infinite before the first time."""
    is_trusted: bool
    """Whether the store answered recently enough to decide by it."""
    last_error: str
    """Why the feed was lost; empty while it is not."""


class Revocations:
    """The revocations that concern valid access tokens, in this process, read from a store.

    `is_revoked` is a plain look-up: pass it to the `Verifier` and to `SlidingRenewal`. What other
    workers revoke arrives by `SessionStore.follow`, which reads into this object. Until all of it
    was read, and when the store was not read to its end for `stale_after` seconds, it is unknown
    what was revoked: `is_revoked` then raises `Unavailable`, which the verifier answers with 503.

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
        self._known = known = KnownRevocations()
        # Each in an attribute of its own, because `is_revoked` runs with every request.
        self._sessions, self._tokens, self._subjects = known.sessions, known.tokens, known.subjects
        self._claims = known.claims
        self._found_no_session = known.sessions.not_found
        self._found_no_token = known.tokens.not_found
        self._has_sessions = self._has_tokens = self._has_subjects = False
        self._has_all_subjects = False
        self.position: object = None
        """Where the store goes on reading after a loss; the store's own, None to begin anew."""
        self._read_began_at = -math.inf
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
            StaleClaims: It was not, but the claims of its subject changed since they were read.
            Unavailable: The store did not answer for `stale_after` seconds, so that is unknown.

        """
        if self._monotonic() >= self._trusted_until or (
            self._is_patient and self._is_loop_closed()
        ):
            raise self._unknown()
        # Asked only where there is something to find: each name is read from the claims once, and
        # then stands in its slot, which is 0.1 us nearer than the property.
        if self._has_sessions:
            name = verified._session_id or verified.session_id
            if name not in self._found_no_session and self._sessions.find(name) is not None:
                return self._is_ours(verified)
        if self._has_tokens:
            name = verified._token_id or verified.token_id
            if name not in self._found_no_token and self._tokens.find(name) is not None:
                return self._is_ours(verified)
        return self._has_subjects and self._is_subject_revoked(verified)

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

    async def refresh_claims(self, subject: str) -> None:
        """Refuse the access tokens of `subject` whose claims were read before now.

        Every worker answers them 401 ``invalid_token``, or renews them at once where they slide;
        sessions and refresh tokens stay. Call it after the new claims were committed.

        Raises:
            InvalidSubject: No token can have this subject.
            ConfigurationError: No lifetime of access tokens is known; set `longest_lifetime`.
            Unavailable: Perhaps only this process refuses them; the call can be repeated.

        """
        check_subject(subject)
        longest = await self.agree_on_lifetime()
        if not longest:
            raise ConfigurationError(
                ["the lifetime of access tokens is unknown: set longest_lifetime of Revocations"]
            )
        now = (await self._store.present(_NO_SESSION, 0, SessionSettings())).at  # exact
        mark = next_mark(now, self._known.latest_mark)
        until = max(now, self._clock()) + longest + LONGEST_LEEWAY
        changed = claims_changed(subject, mark).lasting(until)
        self.add([changed])
        await self._store.publish([changed])
        self._events(ClaimsOutdated(user=subject, at=mark))

    def claims_instant(self) -> float:
        """Return the instant as of which claims are that are read from now on.

        In Unix seconds of the store's clock, and never before a known mark; 0 before the start.
        """
        try:
            return max(self._store.now(), self._known.latest_mark)
        except NotStarted:
            return 0.0

    @property
    def latest_mark(self) -> float:
        """When claims changed last, of whichever subject, as known here; 0 if never."""
        return self._known.latest_mark

    def knows(self, session_id: str) -> bool:
        """Return whether this process knows that the session is revoked."""
        return self._sessions.has(session_id)

    def add(self, revocations: Sequence[Revocation]) -> None:
        """Refuse what `revocations` name from now on; one may be added more than once."""
        for revocation in revocations:
            if revocation.kind == "lifetime":
                self.raise_lifetime(float(revocation.value))
        longest = self.longest_lifetime + LONGEST_LEEWAY
        self._known.add(
            revocations, now=self._earliest(), moment=self._monotonic(), longest=longest
        )
        # Never false again: another thread may be adding.
        self._has_sessions = self._has_sessions or self._sessions.count > 0
        self._has_tokens = self._has_tokens or self._tokens.count > 0
        named = self._subjects.count + self._claims.count
        self._has_subjects = self._has_subjects or named > 0
        self._has_all_subjects = self._has_all_subjects or self._subjects.has(EVERY_SUBJECT)

    def begin_read(self) -> None:
        """Note that a read of the store begins; stores call it, see `RevocationReader`."""
        self._read_began_at = self._monotonic()

    def caught_up(self) -> None:
        """Trust what is known, as of `begin_read`; stores call it, see `RevocationReader`."""
        self._received_at = self._monotonic()
        # Not from now: the answer may have waited, with a process that was suspended.
        self._trusted_until = self._read_began_at + self._stale_after
        if self._last_error:
            self._last_error = ""
            self._events(RevocationFeedRestored())
        if self._received_at - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = self._received_at
            # By both clocks: while the system's clock is wrong and ahead, nothing is deleted that
            # would be valid again once it is set back.
            self._known.sweep(self._clock(), self._swept_at)
        self._first.set()

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
            sessions=self._sessions.count,
            subjects=self._subjects.count,
            tokens=self._tokens.count,
            claims=self._claims.count,
            age=now - self._received_at,
            is_trusted=now < self._trusted_until,
            last_error=self._last_error,
        )

    async def _follow(self) -> None:
        """Follow the store without end; after each loss go on where the store allows it."""
        retry = _FIRST_RETRY
        while True:
            received_at = self._received_at
            try:
                await self.agree_on_lifetime()
                await self._store.follow(self._earliest(), self)
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

    def _earliest(self) -> float:
        """Return the earlier of this worker's clock and the store's.

        By the other one a revocation would end too early: not be read at the start, or be forgotten
        while a token that it concerns is valid.
        """
        now = self._clock()
        try:
            return min(now, self._store.now())
        except NotStarted:
            return now

    def _unknown(self) -> Unavailable:
        if not self._is_started:
            return NotStarted("the feed of revocations")
        reason = self._last_error or "the store has not answered yet"
        return Unavailable(f"revocations are not known: {reason}")

    def _is_ours(self, verified: Verified) -> bool:
        return verified.own and self._issuer in (None, verified.issuer)

    def _is_subject_revoked(self, verified: Verified) -> bool:
        if self._has_all_subjects and self._is_of_subject(verified, EVERY_SUBJECT):
            return True
        if self._is_of_subject(verified, verified.subject):
            return True
        self._check_claims(verified)
        return False

    def _check_claims(self, verified: Verified) -> None:
        """Raise `StaleClaims` if the claims of the subject changed since those were read."""
        name = verified.subject
        if name in self._claims.not_found:
            return
        mark = self._claims.find(name)
        if mark is None or not self._is_ours(verified):
            return
        if is_stale(claims_at_of(verified.payload), mark.at):
            raise StaleClaims(verified, mark.at)

    def _is_of_subject(self, verified: Verified, name: str | None) -> bool:
        if name in self._subjects.not_found:
            return False
        marks = self._subjects.find(name)
        if marks is None or not self._is_ours(verified):
            return False
        began = verified.auth_time
        if began is None:
            began = verified.issued_at or 0
        return marks.concern(began, verified.session_id)

    def _is_loop_closed(self) -> bool:
        return self._loop is None or self._loop.is_closed()

    def _left(self) -> float:
        return max(0.0, self._trusted_until - self._monotonic())
