"""The service that starts sessions and slides them forward."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cachetools import TTLCache

from linqi._ranges import Range, Ranges, range_faults
from linqi._single_flight import SingleFlight
from linqi.errors import (
    ApplicationFault,
    ConfigurationError,
    RenewalRefused,
    SigningError,
    StaleClaims,
    Unavailable,
)
from linqi.events import Dispatcher
from linqi.jose.longest_lifetime import source_faults
from linqi.jose.signer import Signer
from linqi.jose.verified import Verified
from linqi.sessions._claims import check_start
from linqi.sessions.budget import RenewalBudget
from linqi.sessions.claims_marks import CLAIMS_AT, marks_source, updated_id
from linqi.sessions.decision import NOT_OURS, Decision, Due, decide
from linqi.sessions.renewal import RenewalSettings, first_span
from linqi.sessions.successor_claims import Authorize, claims_at_move, claims_at_renewal

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["Issued", "PendingRenewal", "RenewalCounts", "SlidingRenewal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A token that was just signed."""

    token: str
    expires_at: float
    """``exp`` in Unix seconds."""
    refresh_in: float
    """Seconds from now until the token is near expiry."""
    session_id: str

    def __repr__(self) -> str:
        return f"<Issued expires_at={self.expires_at}>"


class PendingRenewal:
    """A renewal in progress: awaiting it returns the successor, or raises why there is none.

    A waiter that is cancelled does not stop it.

    Attributes:
        is_first: Whether this request caused the signature.

    """

    __slots__ = ("_made", "is_first")

    def __init__(self, made: asyncio.Task[Issued] | Issued, *, is_first: bool) -> None:
        self._made = made
        self.is_first = is_first

    @property
    def ready(self) -> Issued | None:
        """The successor, if it is made already."""
        made = self._made
        if isinstance(made, Issued):
            return made
        if not made.done() or made.cancelled() or made.exception() is not None:
            return None
        return made.result()

    def __await__(self) -> Generator[Any, None, Issued]:
        if isinstance(self._made, Issued):
            return self._made
        return (yield from asyncio.shield(self._made).__await__())


@dataclass(slots=True)
class RenewalCounts:
    """What a `SlidingRenewal` has done since it was made."""

    sessions: int = 0
    """Sessions started."""
    signatures: int = 0
    """Successors signed."""
    coalesced: int = 0
    """Requests that got a successor another request had signed."""
    deferred: int = 0
    """Renewals that the budget deferred."""
    denied: int = 0
    """Renewals that a revocation or the application's hook refused."""
    failed: int = 0
    """Renewals that failed because the signature, `authorize` or the revocation check raised."""


class SlidingRenewal:
    """Starts sessions and makes the successors of their near-expiry tokens.

    All requests that present one token share one successor: a single flight while it is signed,
    then a memo.

    Args:
        signer: Signs the tokens.
        settings: How sessions slide.
        budget: Limits renewals per second; None is no limit.
        authorize: Called once per successor.
        authorize_move: Called instead before a bridged token (`Bridge`) gets its first token of
            ours, which is a sign-in: what it returns may name any scope. None asks `authorize`.
        is_revoked: Called again before every successor is returned, even for a token whose
            verification was cached (R5).
        on_issue: Receives every new token: pass ``verifier.cache_issued`` so that its first use is
            a cache hit.
        sign_off_loop: Whether to sign in threads. None does so for RSA, whose signature takes
            longer than a request.
        memo_seconds: How long a successor is remembered; above 0 to 3,600 s.
        memo_entries: How many successors are remembered.
        clock: Returns Unix seconds; by default the clock of `signer`.

    Raises:
        ConfigurationError: A number is out of range.

    """

    RANGES: ClassVar[Ranges] = {
        "memo_seconds": Range(0, 3600, "seconds", is_above=True),
        "memo_entries": Range(1, 100_000_000, is_whole=True),
    }

    def __init__(
        self,
        signer: Signer,
        settings: RenewalSettings | None = None,
        *,
        budget: RenewalBudget | None = None,
        authorize: Authorize | None = None,
        authorize_move: Authorize | None = None,
        is_revoked: Callable[[Verified], bool] | None = None,
        on_issue: Callable[[str], object] | None = None,
        sign_off_loop: bool | None = None,
        memo_seconds: float = 30.0,
        memo_entries: int = 10_000,
        clock: Callable[[], float] | None = None,
    ) -> None:
        values = {"memo_seconds": memo_seconds, "memo_entries": memo_entries}
        if faults := range_faults(self.RANGES, values) + source_faults(None, is_revoked):
            raise ConfigurationError(faults)
        clock = clock or signer.clock
        self.signer = signer
        self.settings = settings or RenewalSettings()
        self.counts = RenewalCounts()
        self._budget = budget
        self._authorize = authorize
        self._authorize_move = authorize_move
        self._is_revoked = is_revoked
        self.marks = marks_source(is_revoked)
        self._on_issue: Dispatcher[str] = Dispatcher(() if on_issue is None else (on_issue,))
        self._sign_off_loop = sign_off_loop
        self._memo: TTLCache[bytes, Issued] = TTLCache(memo_entries, memo_seconds, clock)
        self._flight: SingleFlight[bytes, Issued] = SingleFlight()
        self._threads: ThreadPoolExecutor | None = None
        self._clock = clock

    def start(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        scopes: Sequence[str] = (),
        claims_at: float | None = None,
    ) -> Issued:
        """Start a session for `subject` and return its first token; call it at login.

        `claims` are added to the token and ride in every successor. `SigningError` when it cannot
        be signed, `ConfigurationError` when `claims` names a claim that is linqi's to set.
        `claims_at` is for claims that were read well before this call: what
        `Revocations.claims_instant` returned before.
        """
        check_start(subject, claims, scopes)
        now = self._clock()
        session = secrets.token_urlsafe(16)
        span = first_span(session, now, self.settings)
        issued = self._issue(
            {
                **(claims or {}),
                **({"scope": " ".join(scopes)} if scopes else {}),
                **self._as_of(claims_at),
                "sub": subject,
                "sid": session,
                "auth_time": span.issued_at,
                "session_end": self.settings.session_end(session, span.issued_at),
                "iat": span.issued_at,
                "exp": span.expires_at,
                "jti": secrets.token_urlsafe(16),
            },
            now,
        )
        self.counts.sessions += 1
        self._on_issue(issued.token)
        return issued

    def decide(self, verified: Verified, now: float) -> Decision:
        """Decide whether `verified` gets a successor at `now`.

        Only a token of this signer's issuer does: the successor has that ``iss``, and a subject is
        unique within its issuer only (RFC 7519, section 4.1.2).
        """
        decision = decide(verified, now, self.settings)
        if isinstance(decision, Due) and verified.issuer != self.signer.issuer:
            return NOT_OURS
        return decision

    @property
    def signs_off_loop(self) -> bool:
        """Whether signatures are made in threads."""
        if self._sign_off_loop is not None:
            return self._sign_off_loop
        return self.signer.is_slow

    def affords(self, verified: Verified, now: float) -> bool:
        """Return whether `begin` would return a renewal now; nothing is taken from the budget."""
        key = verified.digest
        if self._budget is None or key in self._memo or self._flight.has(key):
            return True
        return self._budget.affords(now, *self._patience(verified, now))

    def begin(self, verified: Verified, due: Due, now: float) -> PendingRenewal | None:
        """Return the renewal of `verified`, or None if the budget defers it."""
        # The token alone: off the grid each instant has its own successor, and the first stays.
        changes = {
            "iat": due.span.issued_at,
            "exp": due.span.expires_at,
            "jti": due.token_id,
        }
        if due.session_end is not None:
            changes |= {"session_end": due.session_end, **self._as_of(None)}
        return self._begin(verified.digest, verified, changes, now)

    def update(self, stale: StaleClaims, now: float) -> PendingRenewal | None:
        """Return the renewal that brings a token its new claims, or None if the budget defers it.

        It ends when the token ends, so it extends no session. Raises `stale` if the token cannot be
        renewed here, or no `authorize` knows the new claims.
        """
        verified: Verified = stale.verified
        session, token_id = verified.session_id, verified.token_id
        is_ours = verified.own and verified.issuer == self.signer.issuer
        if self._authorize is None or not is_ours or session is None or token_id is None:
            raise stale
        if "cnf" in verified.claims or now >= verified.expires_at:
            raise stale
        changes = {"jti": updated_id(session, token_id, stale.mark), CLAIMS_AT: stale.mark}
        if verified.origin.bridged:
            due = self.decide(verified, now)
            if not isinstance(due, Due) or due.session_end is None:
                raise stale
            changes["session_end"] = due.session_end
        key = verified.digest + repr(stale.mark).encode()
        return self._begin(key, verified, changes, now)

    def _begin(
        self, key: bytes, verified: Verified, changes: Mapping[str, Any], now: float
    ) -> PendingRenewal | None:
        known = self._memo.get(key)
        if known is not None:
            self.counts.coalesced += 1
            return PendingRenewal(known, is_first=False)
        budget = None if self._flight.has(key) else self._budget
        if budget is not None and not budget.take(now, *self._patience(verified, now)):
            self.counts.deferred += 1
            return None
        task, started = self._flight.start(key, lambda: self._make(key, verified, changes))
        if not started:
            self.counts.coalesced += 1
        return PendingRenewal(task, is_first=started)

    async def renew(self, verified: Verified) -> Issued | None:
        """Return the successor of `verified`; None if it is not due, or the budget defers it.

        For callers outside the middleware.

        Raises:
            RenewalRefused: The session was revoked, or `authorize` returned False.
            SigningError: The signature failed, or the revocation check raised.
            ApplicationFault: `authorize` raised, or returned a wrong type.
            Unavailable: `authorize` raised that, or took more than 5 s.

        """
        now = self._clock()
        decision = self.decide(verified, now)
        if not isinstance(decision, Due):
            return None
        begun = self.begin(verified, decision, now)
        if begun is None:
            return None
        issued = await begun
        self.check_revocation(verified)
        return issued

    def check_revocation(self, verified: Verified) -> None:
        """Check that the session was not revoked (R5).

        Raises:
            RenewalRefused: It was revoked.
            SigningError: The revocation check raised.

        """
        if self._is_revoked is None:
            return
        try:
            revoked = self._is_revoked(verified)
        except StaleClaims:
            return  # not revoked; the successor is stale as well until its claims are read again
        except Exception as error:
            self.counts.failed += 1
            raise SigningError(f"the revocation check raised {type(error).__name__}") from error
        if revoked:
            self.counts.denied += 1
            raise RenewalRefused("revoked")

    def close(self) -> None:
        """End the signing threads; the next renewal that needs them starts new ones."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    async def _make(self, key: bytes, verified: Verified, changes: Mapping[str, Any]) -> Issued:
        self.check_revocation(verified)
        replaced = await self._ask(verified)
        claims = {**verified.claims, **replaced, **changes}
        claims.pop("nbf", None)
        now = self._clock()
        try:
            if self.signs_off_loop:
                loop = asyncio.get_running_loop()
                issued = await loop.run_in_executor(self._pool(), self._issue, claims, now)
            else:
                issued = self._issue(claims, now)
        except Exception:
            self.counts.failed += 1
            raise
        self.counts.signatures += 1
        self._memo[key] = issued
        self._on_issue(issued.token)
        return issued

    def _as_of(self, claims_at: float | None) -> dict[str, float]:
        """Return the claim that says as of when the claims are, where claims can be outdated."""
        if claims_at is None and self.marks is not None:
            claims_at = self.marks.claims_instant()
        return {CLAIMS_AT: claims_at} if claims_at else {}

    def _patience(self, verified: Verified, now: float) -> tuple[float, float, float]:
        """Return the seconds that the token has left, the buffer and the hard margin."""
        return verified.expires_at - now, self.settings.buffer, self.settings.margin

    async def _ask(self, verified: Verified) -> Mapping[str, Any]:
        """Call the application's `authorize`; return the claims that it replaces."""
        move = self._authorize_move if verified.origin.bridged else None
        try:
            if move is not None:
                return await claims_at_move(move, verified)
            return await claims_at_renewal(self._authorize, verified)
        except RenewalRefused:
            self.counts.denied += 1
            raise
        except (ApplicationFault, Unavailable):
            self.counts.failed += 1
            raise

    def _issue(self, claims: Mapping[str, Any], now: float) -> Issued:
        token = self.signer.sign(claims)
        return Issued(
            token=token,
            expires_at=claims["exp"],
            refresh_in=self.settings.refresh_in(claims["sid"], claims["iat"], claims["exp"], now),
            session_id=claims["sid"],
        )

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor

            self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "linqi-sign")
        return self._threads
