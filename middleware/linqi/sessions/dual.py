"""The session service behind dual tokens: sign-in, refresh, revocation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from linqi._ranges import Ranges
from linqi._reference_count import ReferenceCount
from linqi._start_once import StartOnce
from linqi.errors import ConfigurationError, RefreshRefused
from linqi.events import (
    Dispatcher,
    Event,
    Hook,
    SessionRevoked,
    StoreWarning,
)
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.keys import Secrets
from linqi.jose.signer import Signer
from linqi.jose.verified import Verified
from linqi.sessions._claims import check_subject
from linqi.sessions.authorization import AuthorizeRefresh
from linqi.sessions.clock_check import ClockCheck
from linqi.sessions.devices import Devices
from linqi.sessions.pair import PairMaker, TokenPair
from linqi.sessions.purger import Purger
from linqi.sessions.record import RevocationCause, SessionRecord
from linqi.sessions.redemption import Redemption
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import RefreshTokens
from linqi.sessions.refreshing import Refreshing
from linqi.sessions.renewal import RenewalSettings
from linqi.sessions.revocation import Revocations
from linqi.sessions.revocation_publisher import RevocationPublisher
from linqi.sessions.session_page import SessionPage, read_page
from linqi.sessions.starting import Starting
from linqi.sessions.store import SessionStore, WarnsAtStart
from linqi.sessions.successor_claims import Authorize, granted_at_move

__all__ = ["AuthorizeRefresh", "Sessions"]


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
        clock: Returns Unix seconds; by default the clock of `signer`.
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
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if not isinstance(store, SessionStore):
            raise ConfigurationError(["store is not a session store, such as SQLiteStore(path)"])
        clock = clock or signer.clock
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
        self._tokens = RefreshTokens(secret, issuer=signer.issuer, clock=clock)
        self.devices = Devices(store, secret, issuer=signer.issuer, ready=self._ready, clock=clock)
        self._authorize = authorize
        self._pairs = PairMaker(signer, self._tokens, self.access, on_issue=on_issue, clock=clock)
        self._starting = Starting(
            lambda: self.store,  # it can be replaced
            self.settings,
            publisher=self._publisher,
            pairs=self._pairs,
            events=self.events,
            claims_instant=self.claims_instant,
            clock=clock,
        )
        self._clock = clock
        self._clock_check = ClockCheck(store, self.events, clock=clock)
        self._once = StartOnce(self._start)
        self._starts = ReferenceCount()
        self._refreshing = Refreshing(
            lambda *asked: self.store.present(*asked),
            self.settings,
            tokens=self._tokens,
            redemption=Redemption(
                store, self.revocations, self._publisher, self.events, clock=clock
            ),
            pairs=self._pairs,
            revocations=self.revocations,
            authorize=authorize,
            now=self.now,
            deny=lambda row: self.revoke(row.session_id, user=row.subject, cause="admin"),
            events=self.events,
        )
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
        claims_at: float | None = None,
    ) -> TokenPair:
        """Start a session for `subject` and return its first tokens; call it at login.

        Args:
            subject: The ``sub`` of the tokens.
            claims: Application claims of every access token of the session; at most 4,096 bytes
                as JSON.
            scopes: The scopes that the session is granted.
            device: Shown in the list of sessions: the printable ones of its first 256 characters.
            claims_at: As of when the claims are, if they were read well before this call: what
                `claims_instant` returned before. A `refresh_claims` since then concerns the token.

        Raises:
            ConfigurationError: An argument cannot be in a token.
            SigningError: The claims are not JSON, or the signature failed.
            Unavailable: The store could not store the session.

        """
        return await self._starting.sign_in(subject, claims, scopes, device, claims_at)

    async def move_in(
        self, verified: Verified, *, authorize: Authorize | None = None, device: str = ""
    ) -> TokenPair:
        """Return the first tokens of the session that takes over a bridged token (`Bridge`).

        A retry returns the same refresh token until that is redeemed. `authorize` decides on the
        user, claims and scopes of the session; `device` is that of `sign_in`.

        Raises:
            RefreshRefused: The session has ended or is refreshed, or `authorize` returned False.
            LinqiError: As of `sign_in`; `ApplicationFault` where `authorize` raised.

        """
        claims_at = await self.claims_instant()
        granted = await granted_at_move(authorize, verified)
        return await self._starting.move(verified, *granted, device, claims_at)

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
        return await self._refreshing.refresh(refresh_token, scopes)

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

        It ends all device tokens of the subject, that of the kept session included. Access tokens
        of sliding sessions are refused too, if the session began in an earlier second.

        Raises:
            Unavailable: The revocation may be incomplete; it can be called again.

        """
        await self._ready()
        ids = await self._publisher.end_subject(subject, kept_session=kept_session, cause=cause)
        for name in ids:
            self.events(SessionRevoked(user=subject, session=name, cause=cause))
        return ids

    async def password_changed(self, subject: str, *, keep: str = "") -> Sequence[str]:
        """End all sessions of `subject` but `keep`, as after a changed password; return their ids.

        The access tokens of these sessions and all device tokens of the subject end as well.

        Args:
            subject: The ``sub`` of the user.
            keep: The session in which the password was changed; it stays signed in.

        Raises:
            InvalidSubject: No token can have this subject.
            Unavailable: The revocation may be incomplete; the call can be repeated.

        """
        check_subject(subject)
        return await self.revoke_all(subject, kept_session=keep, cause="password")

    async def account_disabled(self, subject: str) -> Sequence[str]:
        """End all sessions of `subject`, whose account was disabled, and return their ids.

        Neither a refresh nor an access token of them works from then on. A later sign-in is the
        decision of the application: this call stores nothing about the account.

        Raises:
            InvalidSubject: No token can have this subject.
            Unavailable: The revocation may be incomplete; the call can be repeated.

        """
        check_subject(subject)
        return await self.revoke_all(subject, cause="disabled")

    async def refresh_claims(self, subject: str) -> None:
        """Let the access tokens of `subject` be refreshed with new claims, at once.

        Call it after a change of a role was committed; see `Revocations.refresh_claims`.

        Raises:
            InvalidSubject: No token can have this subject.
            ConfigurationError: There is no `authorize`, so claims never change.
            Unavailable: Perhaps only this process refuses them; the call can be repeated.

        """
        if self._authorize is None:
            raise ConfigurationError(
                ["refresh_claims needs Sessions(authorize=...), which returns the new claims"]
            )
        await self._ready()
        await self.revocations.refresh_claims(subject)

    async def claims_instant(self) -> float:
        """Return the instant as of which claims are that are read next; see `sign_in`."""
        await self._ready()
        return self.revocations.claims_instant()

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

    async def page(
        self, subject: str, *, limit: int = 50, cursor: str = "", ended: bool = False
    ) -> SessionPage:
        """Return sessions of `subject` for an administrator's view, a page at a time.

        Args:
            subject: The ``sub`` of the user.
            limit: How many at most, 1 to 500.
            cursor: That of the page before; empty for the first.
            ended: Whether ended sessions that the store still has are listed too, with their cause.

        Raises:
            InvalidCursor: The limit or the cursor is none that can be used.
            ConfigurationError: The store of a third party lists no pages.

        """
        return await read_page(self.store, subject, self.now, limit, cursor, ended=ended)

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

    async def _check(self) -> None:
        self._clock_check()
        await self.revocations.agree_on_lifetime()  # a failover may have lost it
