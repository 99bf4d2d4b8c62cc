"""The session service behind dual tokens: sign-in, refresh, revocation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias

from linqi._callbacks import invoke, unexpected_answer
from linqi._ranges import Ranges
from linqi._reference_count import ReferenceCount
from linqi._single_flight import SingleFlight
from linqi._start_once import StartOnce
from linqi.errors import ConfigurationError, RefreshRefused
from linqi.events import (
    Dispatcher,
    Event,
    Hook,
    RefreshDenied,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
    StoreWarning,
)
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.claims import split_scope
from linqi.jose.signer import Signer
from linqi.sessions._claims import check_start, claims_text, narrowed, read_claims, replaceable
from linqi.sessions._secrets import Secrets
from linqi.sessions.clock_check import ClockCheck
from linqi.sessions.devices import Devices
from linqi.sessions.pair import PairMaker, TokenPair
from linqi.sessions.purger import Purger
from linqi.sessions.record import RevocationCause, SessionRecord
from linqi.sessions.redemption import Redemption
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import RefreshTokens, new_session_id
from linqi.sessions.renewal import RenewalSettings
from linqi.sessions.revocation import Revocations
from linqi.sessions.revocation_publisher import RevocationPublisher
from linqi.sessions.store import SessionStore, WarnsAtStart

__all__ = ["AuthorizeRefresh", "Sessions"]

AuthorizeRefresh: TypeAlias = Callable[
    [SessionRecord], bool | Mapping[str, Any] | Awaitable[bool | Mapping[str, Any]]
]
"""Called before a refreshed access token is signed. False revokes the session; true keeps the
claims; a mapping replaces application claims of this token. It may be a coroutine function."""

_AUTHORIZE_SECONDS: Final = 5.0
_LONGEST_DEVICE: Final = 256


class Sessions:
    """Sessions with a short access token and a stored, rotating, revocable refresh token.

    It is one of a middleware's ``services``.

    Args:
        store: Where sessions are stored.
        signer: Signs the access tokens.
        secret: Makes and checks refresh tokens: keep it apart from the signer's keys. The last of
            several makes; all check. A `KeySet` may change, such as that of a `KeyFile`.
        settings: How long sessions last, and how refresh tokens rotate.
        access: The life of access tokens. The same settings serve `SlidingRenewal`, with which a
            session can be shared.
        revocations: The feed of revocations; pass its ``is_revoked`` to the `Verifier`.
        authorize: Called at every refresh.
        on_issue: Receives every access token: pass ``verifier.cache_issued``.
        purge_per_second: The most ended rows that this worker deletes in a second; 1 to 100,000.
        hooks: Receive the events; the default logs them.
        clock: Returns Unix seconds.
        sleep: Waits for the given seconds.

    Raises:
        ConfigurationError: `store` is not a session store, a secret is unfit, a number is out of
            range, or the revocations belong to another issuer.

    """

    RANGES: ClassVar[Ranges] = Purger.RANGES

    def __init__(
        self,
        store: SessionStore,
        signer: Signer,
        secret: Secrets,
        *,
        settings: SessionSettings | None = None,
        access: RenewalSettings | None = None,
        revocations: Revocations | None = None,
        authorize: AuthorizeRefresh | None = None,
        on_issue: Callable[[str], object] | None = None,
        purge_per_second: float = 2_000,
        hooks: Sequence[Hook] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if not isinstance(store, SessionStore):
            raise ConfigurationError(["store is not a session store, such as SQLiteStore(path)"])
        self.store = store
        self.signer = signer
        self.settings = settings or SessionSettings()
        self.access = access or RenewalSettings()
        chosen = (LoggingHook(),) if hooks is None else tuple(hooks)
        self.events: Dispatcher[Event] = Dispatcher(chosen)
        """Passes an event to the hooks."""
        self.revocations = revocations or Revocations(store, clock=clock)
        self.revocations.listen(*chosen)
        self.revocations.belong_to(signer.issuer)
        self.revocations.raise_lifetime(self.access.lifetime)
        self._publisher = RevocationPublisher(store, self.revocations, clock=clock)
        self._redemption = Redemption(
            store, self.revocations, self._publisher, self.events, clock=clock
        )
        self._tokens = RefreshTokens(secret, issuer=signer.issuer, clock=clock)
        self.devices = Devices(store, secret, issuer=signer.issuer, ready=self._ready, clock=clock)
        self._authorize = authorize
        self._pairs = PairMaker(signer, self._tokens, self.access, on_issue=on_issue, clock=clock)
        self._clock = clock
        self._clock_check = ClockCheck(store, self.events, clock=clock)
        self._once = StartOnce(self._start)
        self._starts = ReferenceCount()
        self._flight: SingleFlight[tuple[str, tuple[str, ...] | None], TokenPair] = SingleFlight()
        self._purger = Purger(
            store, purge_per_second, check=self._check, events=self.events, clock=clock, sleep=sleep
        )

    async def start(self) -> None:
        """Open the store, follow its revocations, and delete old sessions periodically.

        If it was not called, the first operation starts it. On another event loop it starts again.
        Several middlewares may start one object: it runs until the last one closes it.
        """
        self._starts.acquire()
        try:
            await self._once.start()
        except BaseException:
            self._starts.release()
            raise

    async def close(self) -> None:
        """Stop the background tasks and close the store, after as many calls as of `start`."""
        if not self._starts.release():
            return
        self._once.reset()
        await self._purger.close()
        await self.revocations.close()
        await self.store.close()

    def listen(self, *hooks: Hook) -> None:
        """Send events to `hooks` too; a hook that was added before is not added again."""
        self.events.add(*hooks)
        self.revocations.listen(*hooks)

    async def sign_in(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        scopes: Sequence[str] = (),
        device: str = "",
    ) -> TokenPair:
        """Start a session for `subject` and return its first tokens; call it at login.

        Args:
            subject: The ``sub`` of the tokens.
            claims: Application claims of every access token of the session; at most 4,096 bytes
                as JSON.
            scopes: The scopes that the session is granted.
            device: Shown in the list of sessions: the printable ones of its first 256 characters.

        Raises:
            ConfigurationError: An argument cannot be in a token.
            SigningError: The claims are not JSON, or the signature failed.
            Unavailable: The store could not store the session.

        """
        check_start(subject, claims, scopes)
        text = claims_text(claims, scopes)
        now = await self.now()
        session_id = new_session_id(subject)
        ends_at = self.settings.end_of(session_id, now)
        record = SessionRecord(
            session_id=session_id,
            subject=subject,
            rotated_at=now,
            first_rotated_at=now,
            started_at=float(int(self._clock())),
            expires_at=self.settings.expiry(now, ends_at),
            ends_at=ends_at,
            claims=text,
            device="".join(c for c in device[:_LONGEST_DEVICE] if c.isprintable()),
        )
        surplus = await self.store.create(record, self.settings.most_sessions)
        if surplus:
            await self._publisher.revoke_surplus(surplus, session_id, self._clock())
            for name in surplus:
                self.events(SessionRevoked(user=subject, session=name, cause="limit"))
        self.events(SessionStarted(user=subject, session=session_id, ends_at=ends_at))
        return await self._pairs.make(record, "started", read_claims(text), tuple(scopes))

    async def refresh(
        self, refresh_token: str, *, scopes: Sequence[str] | None = None
    ) -> TokenPair:
        """Redeem `refresh_token`; parallel calls with one token return the same successor.

        A caller that is cancelled does not stop the others.

        Args:
            refresh_token: As the client presented it.
            scopes: Fewer than the session's, for this access token only (RFC 6749, section 6).

        Raises:
            RefreshRefused: The token is not redeemed.
            Unavailable: The store did not answer; the token can be presented again.
            ApplicationFault: `authorize` raised or returned a wrong type; the same holds.
            SigningError: The signature failed; the same holds.

        """
        key = (refresh_token, None if scopes is None else tuple(scopes))
        return await self._flight(key, lambda: self._refresh(refresh_token, scopes))

    async def revoke(
        self, session_id: str, *, user: str = "", cause: RevocationCause = "admin"
    ) -> bool:
        """Revoke a session and its access tokens; return whether the store has the session.

        When it returns, the store has the revocation and this process refuses the tokens; the other
        workers follow.

        Raises:
            Unavailable: Only this process refuses the tokens for certain; it can be called again.

        """
        await self._ready()
        self._publisher.refuse_session(session_id, self._clock())
        is_known = await self.store.revoke(session_id, self.store.now(), cause)
        await self._publisher.revoke_sessions([session_id], self._clock())
        self.events(SessionRevoked(user=user, session=session_id, cause=cause))
        return is_known

    async def revoke_all(
        self, subject: str, *, kept_session: str = "", cause: RevocationCause = "admin"
    ) -> Sequence[str]:
        """Revoke all sessions of `subject` except `kept_session`, and return their ids.

        Call it when the password was changed, too. It ends all device tokens of the subject, that
        of the kept session included. Access tokens of sessions that no store holds (sliding ones)
        are refused too, if the session began in an earlier second.

        Raises:
            Unavailable: The revocation may be incomplete; it can be called again.

        """
        await self._ready()
        now = self._clock()
        self._publisher.refuse_subject(subject, now, kept_session)
        await self.devices.end(subject)
        ids = await self.store.revoke_all(subject, self.store.now(), cause, kept_session)
        await self._publisher.revoke_subject(subject, ids, now, kept_session)
        for name in ids:
            self.events(SessionRevoked(user=subject, session=name, cause=cause))
        return ids

    async def revoke_access_token(self, token_id: str, expires_at: float | None = None) -> None:
        """Refuse the access token whose ``jti`` is `token_id` from now on.

        Args:
            token_id: Its ``jti``.
            expires_at: Its ``exp`` in Unix seconds: it is refused until then. Without it, for the
                longest life that a token of this deployment can have.

        Raises:
            Unavailable: Only this process refuses it, because the store could not be reached.

        """
        await self._ready()
        await self._publisher.revoke_token(token_id, expires_at, self._clock())

    async def revoke_refresh_token(self, refresh_token: str) -> bool:
        """Revoke the session of `refresh_token`; return False if it is not ours (RFC 7009, 2.2)."""
        try:
            presented = self._tokens.check(refresh_token)
        except RefreshRefused:
            return False
        return await self.revoke(presented.session_id, cause="logout")

    async def find(self, session_id: str) -> SessionRecord | None:
        """Return a session, live or not; None where the store has none."""
        await self._ready()
        return await self.store.get(session_id)

    async def sessions(self, subject: str) -> Sequence[SessionRecord]:
        """Return the live sessions of `subject`, oldest first."""
        return await self.store.live(subject, await self.now())

    async def now(self) -> float:
        """Return the store's clock, by which all workers agree; it costs no round trip."""
        await self._ready()
        return self.store.now()

    async def _ready(self) -> None:
        """Start the service if it was not started; raise `Unavailable` if it cannot start."""
        if not self._once.is_done:
            await self._once.ensure()

    async def _start(self) -> None:
        await self.store.start()
        if isinstance(self.store, WarnsAtStart):
            for text in self.store.warnings:
                self.events(StoreWarning(detail=text))
        self._clock_check()
        await self._publisher.announce_lifetime()
        await self.revocations.start()
        self._purger.start()

    async def _refresh(self, refresh_token: str, scopes: Sequence[str] | None) -> TokenPair:
        session_id = ""
        try:
            presented = self._tokens.check(refresh_token)
            session_id = presented.session_id
            over = await self.now() - presented.expires_at
            if over >= 0:
                raise RefreshRefused("expired", f"expired {over:.0f} s ago")
            outcome = await self.store.present(session_id, presented.counter, self.settings)
            record = await self._redemption.redeemed(outcome, session_id, presented.counter)
            claims, granted = await self._authorized(record)
            granted = narrowed(granted, scopes)
        except RefreshRefused as refused:
            self.events(
                RefreshDenied(reason=refused.reason, detail=refused.detail, session=session_id)
            )
            raise
        if self.events:
            self.events(
                SessionRefreshed(
                    user=record.subject,
                    session=session_id,
                    outcome=outcome.kind,
                    sequence=record.counter,
                )
            )
        return await self._pairs.make(record, outcome.kind, claims, granted)

    async def _authorized(self, record: SessionRecord) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the claims and scopes of the next token, after calling `authorize`."""
        claims = read_claims(record.claims)
        scopes = split_scope(claims.get("scope", ""))
        if self._authorize is None:
            return claims, scopes
        answer = await invoke("authorize", self._authorize, record, seconds=_AUTHORIZE_SECONDS)
        if isinstance(answer, Mapping):
            claims |= replaceable(answer, scopes)
            claims_text(claims, ())  # the same limits as at the sign-in
            return claims, split_scope(claims.get("scope", ""))
        if answer is False:
            await self.revoke(record.session_id, user=record.subject, cause="admin")
            raise RefreshRefused("denied", "the application's authorize returned False")
        if answer is not True:
            raise unexpected_answer("authorize", answer, "True, False or a mapping of claims")
        return claims, scopes

    async def _check(self) -> None:
        self._clock_check()
        await self.revocations.agree_on_lifetime()  # a failover may have lost it
