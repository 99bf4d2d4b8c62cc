"""The service behind dual tokens: starts sessions, redeems refresh tokens, revokes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from linqi._background import BackgroundTask
from linqi._callbacks import invoke, unexpected_answer
from linqi._single_flight import SingleFlight
from linqi._start_once import StartOnce
from linqi.errors import ConfigurationError, RefreshRefused, Unavailable
from linqi.events import (
    Dispatcher,
    Event,
    Hook,
    RefreshDenied,
    RefreshTokenReused,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
)
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.claims import split_scope
from linqi.jose.key import Key
from linqi.jose.signer import Signer
from linqi.sessions._claims import check_start, claims_text, replaceable
from linqi.sessions.devices import Devices
from linqi.sessions.pair import PairMaker, TokenPair
from linqi.sessions.record import Revocation, RevocationCause, RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import RefreshTokens, new_session_id
from linqi.sessions.renewal import RenewalSettings
from linqi.sessions.revocation import Revocations
from linqi.sessions.store import SessionStore

__all__ = ["AuthorizeRefresh", "Sessions"]

AuthorizeRefresh: TypeAlias = Callable[
    [SessionRecord], bool | Mapping[str, Any] | Awaitable[bool | Mapping[str, Any]]
]
"""Asked before a refreshed access token is signed. False revokes the session; true keeps the
claims; a mapping replaces application claims of this token. It may be a coroutine function."""

_AUTHORIZE_SECONDS: Final = 5.0
_LONGEST_DEVICE: Final = 256
_SLACK_SECONDS: Final = 300
"""Revocations outlive the last token they concern by the longest leeway of a verifier."""
_PURGE_SECONDS, _PURGE_AT_ONCE = 30.0, 500


class Sessions:
    """Sessions with a short access token and a stored, rotating, revocable refresh token.

    `secret` makes and checks refresh tokens: keep it apart from the signer's keys, and where
    several are given the last one makes. `access` is the life of access tokens; the same settings
    serve `SlidingRenewal`, with which a session can be shared. `revocations`: pass its
    ``is_revoked`` to the `Verifier`. `authorize` is asked at every refresh. `on_issue` hears of
    every access token: pass ``verifier.cache_issued``. `hooks`: receive what happens; the default
    logs. One of a middleware's ``services``.
    """

    def __init__(
        self,
        store: SessionStore,
        signer: Signer,
        secret: Key | bytes | Sequence[Key | bytes],
        *,
        settings: SessionSettings | None = None,
        access: RenewalSettings | None = None,
        revocations: Revocations | None = None,
        authorize: AuthorizeRefresh | None = None,
        on_issue: Callable[[str], object] | None = None,
        hooks: Sequence[Hook] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if not isinstance(store, SessionStore):
            raise ConfigurationError(["store is no session store, such as SQLiteStore(path)"])
        self.store = store
        self.signer = signer
        self.settings = settings or SessionSettings()
        self.access = access or RenewalSettings()
        chosen = (LoggingHook(),) if hooks is None else tuple(hooks)
        self.events: Dispatcher[Event] = Dispatcher(chosen)
        """Hands an event to the hooks."""
        self.revocations = revocations or Revocations(store, clock=clock)
        self.revocations.listen(*chosen)
        self.revocations.belong_to(signer.issuer)
        self.revocations.raise_lifetime(self.access.lifetime)
        self._tokens = RefreshTokens(secret, issuer=signer.issuer)
        self.devices = Devices(store, secret, issuer=signer.issuer, ready=self._ready, clock=clock)
        self._authorize = authorize
        self._pairs = PairMaker(signer, self._tokens, self.access, on_issue=on_issue, clock=clock)
        self._clock = clock
        self._sleep = sleep
        self._once = StartOnce(self._start)
        self._flight: SingleFlight[tuple[str, tuple[str, ...] | None], TokenPair] = SingleFlight()
        self._purger = BackgroundTask(
            "purge of sessions", self._purge, events=self.events, sleep=sleep
        )

    async def start(self) -> None:
        """Open the store, follow its revocations, and forget old sessions from time to time.

        Where nobody calls it, the first operation does; on another event loop it starts anew.
        """
        await self._once.start()

    async def close(self) -> None:
        """Stop all that and close the store."""
        self._once.reset()
        await self._purger.close()
        await self.revocations.close()
        await self.store.close()

    def listen(self, *hooks: Hook) -> None:
        """Call `hooks` too, each once however often it is added."""
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
        """Start a session for `subject` and give its first tokens; call it at login.

        `claims` ride in every access token of the session, at most 4,096 bytes as JSON. `device`
        is shown in the list of sessions: its first 256 characters, as far as they are printable.
        `Unavailable` when the store cannot keep it.
        """
        check_start(subject, claims, scopes)
        text = claims_text(claims, scopes)
        await self._ready()
        now = self._clock()
        session_id = new_session_id(subject)
        ends_at = self.settings.end_of(session_id, now)
        record = SessionRecord(
            session_id=session_id,
            subject=subject,
            rotated_at=now,
            first_rotated_at=now,
            started_at=float(int(now)),
            expires_at=self.settings.expiry(now, ends_at),
            ends_at=ends_at,
            claims=text,
            device="".join(c for c in device[:_LONGEST_DEVICE] if c.isprintable()),
        )
        surplus = await self.store.create(record, self.settings.most_sessions)
        if surplus:
            await self._publish_sessions(surplus, now)
            for name in surplus:
                self.events(SessionRevoked(user=subject, session=name, cause="limit"))
        self.events(SessionStarted(user=subject, session=session_id, ends_at=ends_at))
        return await self._pairs.make(record, "started", json.loads(text), tuple(scopes))

    async def refresh(
        self, refresh_token: str, *, scopes: Sequence[str] | None = None
    ) -> TokenPair:
        """Redeem `refresh_token`; the same token in parallel gets the same successor.

        `scopes` may name fewer than the session's for this access token (RFC 6749, section 6).
        `RefreshRefused` when it is not redeemed; `Unavailable` when the store cannot tell, and
        `ApplicationFault` when `authorize` raised: the token can then be presented again.
        """
        key = (refresh_token, None if scopes is None else tuple(scopes))
        return await self._flight(key, lambda: self._refresh(refresh_token, scopes))

    async def revoke(
        self, session_id: str, *, user: str = "", cause: RevocationCause = "admin"
    ) -> bool:
        """End a session and its access tokens; tell whether the store knew it.

        When it returns, the store keeps it and this process refuses; the other workers follow.
        `Unavailable` when that could not be made sure.
        """
        await self._ready()
        now = self._clock()
        is_known = await self.store.revoke(session_id, now, cause)
        await self._publish_sessions([session_id], now)
        self.events(SessionRevoked(user=user, session=session_id, cause=cause))
        return is_known

    async def revoke_all(
        self, subject: str, *, kept_session: str = "", cause: RevocationCause = "admin"
    ) -> Sequence[str]:
        """End all sessions of `subject` but `kept_session`; give the ids of those that were kept.

        Call it when the password was changed, too. All device tokens of the subject are over
        with it, that of the spared session included. Access tokens of sessions that no store holds
        (sliding ones) are refused too, if they began in an earlier second.
        """
        await self._ready()
        now = self._clock()
        await self.devices.end(subject)
        ids = await self.store.revoke_all(subject, now, cause, kept_session)
        whole = Revocation(
            kind="subject", value=subject, at=float(int(now)), until=now, kept_session=kept_session
        )
        await self._publish([whole, *(_of_session(name, now) for name in ids)], now)
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
            Unavailable: It is refused by this process only, as the store could not be reached.

        """
        await self._ready()
        now = self._clock()
        revocation = Revocation(kind="token", value=token_id, at=now, until=now)
        if expires_at is None:
            await self._publish([revocation], now)
        else:
            until = expires_at + _SLACK_SECONDS
            await self._keep([revocation.lasting(until)])

    async def revoke_refresh_token(self, refresh_token: str) -> bool:
        """End the session of `refresh_token`; false where it is none of ours (RFC 7009, 2.2)."""
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
        """Give the live sessions of `subject`, oldest first."""
        await self._ready()
        return await self.store.live(subject, self._clock())

    async def _ready(self) -> None:
        """Start where that was not done; `Unavailable` when it cannot be."""
        if not self._once.is_done:
            await self._once.ensure()

    async def _start(self) -> None:
        await self.store.start()
        await self._announce_lifetime()
        await self.revocations.start()
        self._purger.start()

    async def _refresh(self, refresh_token: str, scopes: Sequence[str] | None) -> TokenPair:
        session_id = ""
        try:
            presented = self._tokens.check(refresh_token)
            session_id = presented.session_id
            now = self._clock()
            if now >= presented.expires_at:
                raise RefreshRefused("expired", f"expired {now - presented.expires_at:.0f} s ago")
            await self._ready()
            outcome = await self.store.present(session_id, presented.counter, now, self.settings)
            record = await self._redeemed(outcome, session_id, presented.counter, now)
            claims, granted = await self._asked(record)
            granted = _narrowed(granted, scopes)
        except RefreshRefused as refused:
            self.events(
                RefreshDenied(reason=refused.reason, detail=refused.detail, session=session_id)
            )
            raise
        self.events(
            SessionRefreshed(
                user=record.subject,
                session=session_id,
                outcome=outcome.kind,
                sequence=record.counter,
            )
        )
        return await self._pairs.make(record, outcome.kind, claims, granted)

    async def _redeemed(
        self, outcome: RotationOutcome, session_id: str, presented: int, now: float
    ) -> SessionRecord:
        """Give the row to make tokens for; raise, and spread the word, where there is none."""
        record = outcome.record
        if record is None:
            raise RefreshRefused("unknown", "the store has no such session")
        if outcome.kind == "reused":
            self.events(
                RefreshTokenReused(
                    user=record.subject,
                    session=session_id,
                    presented=presented,
                    current=record.counter,
                )
            )
        if outcome.kind in ("reused", "revoked") and not self.revocations.knows(session_id):
            # Also for one that was revoked before: the worker may have died before it published.
            lifetime = await self.revocations.agree_on_lifetime()
            if record.revoked_at + lifetime + _SLACK_SECONDS > now:
                await self._publish_sessions([session_id], record.revoked_at)
        if outcome.kind == "reused":
            raise RefreshRefused("reused", f"token {presented} was spent; the session is revoked")
        if outcome.kind == "revoked":
            raise RefreshRefused("revoked", f"the session was revoked ({record.cause})")
        if outcome.kind == "expired":
            raise RefreshRefused("expired", "the session is at its end")
        return record

    async def _asked(self, record: SessionRecord) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Give the application's claims and the scopes, after asking whether they still hold."""
        claims: dict[str, Any] = json.loads(record.claims)
        scopes = split_scope(claims.get("scope", ""))
        if self._authorize is None:
            return claims, scopes
        answer = await invoke("authorize", self._authorize, record, seconds=_AUTHORIZE_SECONDS)
        if isinstance(answer, Mapping):
            claims |= replaceable(answer, scopes)
            return claims, split_scope(claims.get("scope", ""))
        if answer is False:
            await self.revoke(record.session_id, user=record.subject, cause="admin")
            raise RefreshRefused("denied", "the application's authorize said no")
        if answer is not True:
            raise unexpected_answer("authorize", answer, "True, False or a mapping of claims")
        return claims, scopes

    async def _publish_sessions(self, session_ids: Sequence[str], at: float) -> None:
        await self._publish([_of_session(name, at) for name in session_ids], at)

    async def _publish(self, revocations: Sequence[Revocation], at: float) -> None:
        """Refuse what was revoked at `at` for as long as a token that it concerns can live.

        Here at once; then the store is asked how long that is, as another worker may make tokens
        that live longer, and tells the others.
        """
        self.revocations.add(_until(revocations, at + self.revocations.longest_lifetime))
        longest = await self.revocations.agree_on_lifetime()
        await self._keep(_until(revocations, at + longest))

    async def _keep(self, revocations: Sequence[Revocation]) -> None:
        self.revocations.add(revocations)
        await self.store.publish(revocations)

    async def _announce_lifetime(self) -> None:
        """Let workers that run with a shorter access lifetime know this one before its tokens."""
        longest = await self.revocations.agree_on_lifetime()
        now = self._clock()
        notice = Revocation(
            kind="lifetime", value=repr(longest), at=now, until=now + _SLACK_SECONDS
        )
        await self.store.publish([notice])

    async def _purge(self) -> None:
        while True:
            await self._sleep(_PURGE_SECONDS)
            with contextlib.suppress(Unavailable):
                await self.store.purge(self._clock(), _PURGE_AT_ONCE)
                await self.revocations.agree_on_lifetime()  # a failover may have forgotten it


def _of_session(session_id: str, at: float) -> Revocation:
    return Revocation(kind="session", value=session_id, at=at, until=at)


def _until(revocations: Sequence[Revocation], last_expiry: float) -> list[Revocation]:
    """Return `revocations` that last until no token that expires by `last_expiry` is let in."""
    until = last_expiry + _SLACK_SECONDS
    return [revocation.lasting(until) for revocation in revocations]


def _narrowed(granted: tuple[str, ...], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Give the scopes of one access token: fewer than granted, never more (D7)."""
    if wanted is None:
        return granted
    if not set(wanted) <= set(granted):
        raise RefreshRefused("scope", "more scopes were asked for than the session has")
    return tuple(scope for scope in granted if scope in set(wanted))
