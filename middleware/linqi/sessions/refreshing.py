"""The exchange of a refresh token: redeemed once, authorized, answered with new tokens."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from linqi._single_flight import SingleFlight
from linqi.errors import RefreshRefused
from linqi.events import Dispatcher, Event, RefreshDenied, RefreshShared, SessionRefreshed
from linqi.sessions._claims import narrowed
from linqi.sessions.authorization import AuthorizeRefresh, authorized
from linqi.sessions.pair import PairMaker, TokenPair
from linqi.sessions.record import RotationOutcome, SessionRecord
from linqi.sessions.redemption import Redemption
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.refresh_token import RefreshTokens
from linqi.sessions.revocation import Revocations

__all__ = ["Refreshing"]


class Refreshing:
    """Redeems refresh tokens; parallel calls with one token share the exchange.

    Args:
        present: `SessionStore.present` of the store in use.
        settings: How refresh tokens rotate.
        tokens: Checks refresh tokens.
        redemption: Judges what the store has decided.
        pairs: Makes the new tokens.
        revocations: Knows when claims changed.
        authorize: The application's; None keeps all claims.
        now: Returns the store's clock, after the service was started.
        deny: Revokes a session that `authorize` refused.
        events: Receives the outcome.

    """

    def __init__(
        self,
        present: Callable[[str, int, SessionSettings], Awaitable[RotationOutcome]],
        settings: SessionSettings,
        *,
        tokens: RefreshTokens,
        redemption: Redemption,
        pairs: PairMaker,
        revocations: Revocations,
        authorize: AuthorizeRefresh | None,
        now: Callable[[], Awaitable[float]],
        deny: Callable[[SessionRecord], Awaitable[object]],
        events: Dispatcher[Event],
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._present = present
        self._settings = settings
        self._tokens = tokens
        self._redemption = redemption
        self._pairs = pairs
        self._revocations = revocations
        self._authorize = authorize
        self._now = now
        self._deny = deny
        self._events = events
        self._timer = timer
        self._flight: SingleFlight[tuple[object, ...], TokenPair] = SingleFlight()

    async def refresh(self, refresh_token: str, scopes: Sequence[str] | None) -> TokenPair:
        """Return the next tokens; see `Sessions.refresh`."""
        # What began before claims changed is not shared by those that came to get the new ones.
        mark = self._revocations.latest_mark
        key = (refresh_token, None if scopes is None else tuple(scopes), mark)
        is_shared = self._flight.has(key)
        pair = await self._flight(key, lambda: self._refresh(refresh_token, scopes))
        if is_shared and self._events:
            self._events(RefreshShared(session=pair.session_id, sequence=pair.sequence))
        return pair

    async def _refresh(self, refresh_token: str, scopes: Sequence[str] | None) -> TokenPair:
        session_id = ""
        try:
            presented = self._tokens.check(refresh_token)
            session_id = presented.session_id
            over = await self._now() - presented.expires_at
            if over >= 0:
                raise RefreshRefused("expired", f"expired {over:.0f} s ago")
            asked = self._timer()
            outcome = await self._present(session_id, presented.counter, self._settings)
            took = self._timer() - asked
            record = await self._redemption.redeemed(outcome, session_id, presented.counter)
            # Before `authorize` reads the claims, and by the store's own clock.
            claims_at = max(outcome.at, self._revocations.latest_mark)
            answer = await authorized(self._authorize, record)
            if answer is None:
                await self._deny(record)
                raise RefreshRefused("denied", "the application's authorize returned False")
            claims, granted = answer[0], narrowed(answer[1], scopes)
        except RefreshRefused as refused:
            self._events(
                RefreshDenied(reason=refused.reason, detail=refused.detail, session=session_id)
            )
            raise
        if self._events:
            self._events(_refreshed(record, outcome, took))
        return await self._pairs.make(record, outcome.kind, claims, granted, claims_at)


def _refreshed(
    record: SessionRecord, outcome: RotationOutcome, store_seconds: float
) -> SessionRefreshed:
    return SessionRefreshed(
        user=record.subject,
        session=record.session_id,
        outcome=outcome.kind,
        sequence=record.counter,
        store_seconds=store_seconds,
    )
