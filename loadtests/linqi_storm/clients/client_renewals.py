"""Renewals that the client begins: at the refresh endpoint, at an outside issuer, by a login."""

from __future__ import annotations

import random
from collections.abc import Callable

import gevent

from linqi_storm.clients.client_session import ClientSession, Tally
from linqi_storm.clients.exchange import Exchange
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.login_endpoint import read_credential, refusal_of, retry_after_of
from linqi_storm.clients.sign_in import SignIn
from linqi_storm.clients.wire_responses import NoResponseError, WireResponse
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan

__all__ = ["ClientRenewals"]


class ClientRenewals:
    """Gets new tokens for sessions on behalf of their clients.

    Args:
        plan: The storm.
        exchange: Sends the requests.
        requests: Builds them.
        sign_in: Signs a client in again after its session was lost.
        inspector: Checks the tokens.
        tally: Receives the counts.
        delay: Returns the seconds until a refresh is tried again, as `Scenario.retry_delay`.
        rng: Draws the delays.
        now: Returns the seconds since the barrier.

    """

    def __init__(
        self,
        plan: GeneratorPlan,
        exchange: Exchange,
        requests: RequestBuilder,
        sign_in: SignIn,
        inspector: Inspector,
        tally: Tally,
        *,
        delay: Callable[[float, int, random.Random], float],
        rng: random.Random,
        now: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._exchange = exchange
        self._requests = requests
        self._sign_in = sign_in
        self._inspector = inspector
        self._tally = tally
        self._delay = delay
        self._rng = rng
        self._now = now

    def begin(self, session: ClientSession, held: Credential) -> None:
        """Hand the tokens of a login to a session."""
        zero = self._plan.begins_at
        token = held.token.encode()
        due_at = self._inspector.began(session, token)
        session.begin(
            token,
            held.expires_at - zero,
            held.refresh_token,
            held.sequence,
            held.refresh_expires_at - zero if held.refresh_token else float("inf"),
            # A client of a rush treats its token as expired, whatever ``exp`` is.
            None if due_at is None else min(due_at, held.expires_at - zero),
        )

    def renew(self, session: ClientSession, due: float) -> None:
        """Renew until it succeeds, the token held is still valid after a try, or the run ends."""
        while True:
            now = self._now()
            if now < session.retry_at:  # another try was refused a moment ago
                is_live = now < session.expires_at
                if is_live or session.retry_at > self._plan.load.duration + self._plan.timeout:
                    return
                gevent.sleep(session.retry_at - now)
                due = self._now()
                if due < session.renew_at:
                    return  # another tab has renewed meanwhile
            elif self._renew_once(session, due):
                return

    def _renew_once(self, session: ClientSession, due: float) -> bool:
        """Try to renew once; return False if another try after ``retry_at`` may succeed."""
        if self._plan.mode == "outside":
            return self._fetch(session)
        presented, asked_at, logins = session.refresh_token, self._now(), session.logins
        if session.told_to_wait_until is not None:
            early = session.told_to_wait_until - asked_at
            self._inspector.retried(f"{early:.3f} s early" if early > 0 else "")
        first_asked = session.first_asked(presented, asked_at)
        kind = ("REFRESH", self._plan.transport.refresh_path)
        request = self._requests.refresh(presented)
        response = self._exchange.ask(kind, request, due, session=session, success="refreshed")
        if session.logins != logins:
            return True  # another tab has signed in since: these tokens are of another session
        now = self._now()
        received = self._pair_in(response, presented, session.sequence + 1)
        if response is not None and received is not None:
            self._keep(session, presented, received, response, asked_at, first_asked)
            return True
        if response is not None and response.status >= 300:
            self._inspector.refused(response, is_page=False)
        if response is not None and response.status in (400, 401):
            reason = refusal_of(response)
            if session.refresh_refused(presented, now, reason, self._tally) == "lost":
                self.login(session)
            return True
        session.retries += 1
        asked = 0.0 if response is None else retry_after_of(response)
        if response is not None and response.status == 429:
            self._inspector.limited(response)
            session.told_to_wait_until = now + asked
        session.retry_at = now + self._delay(asked, session.retries, self._rng)
        return False

    def _keep(
        self,
        session: ClientSession,
        presented: str,
        received: Credential,
        response: WireResponse,
        asked_at: float,
        first_asked: float,
    ) -> None:
        now, token = self._now(), received.token.encode()
        self._inspector.issued(session, response)
        if token != session.token:
            self._inspector.received(session, token, sent_at=first_asked, now=now)
        session.refreshed(
            presented,
            token,
            received.expires_at - self._plan.begins_at,
            received.refresh_token,
            received.refresh_expires_at,
            received.sequence,
            now,
            self._tally,
            asked_at=asked_at,
        )

    def _pair_in(
        self, response: WireResponse | None, presented: str, sequence: int
    ) -> Credential | None:
        """Return the tokens in the response to a refresh; None if it has none."""
        if response is None or response.status != 200:
            return None
        try:
            return read_credential(
                response.body,
                self._now(),
                "access_token",
                sequence=sequence,
                refresh_token=presented,
            )
        except ValueError as error:
            self._tally.note_violation(f"a refresh was answered 200 without a token: {error}")
            return None

    def _fetch(self, session: ClientSession) -> bool:
        asked_at = self._now()
        try:
            received = self._sign_in.sign_in(session.index)
        except (NoResponseError, TimeoutError):
            session.retry_at = self._now() + self._delay(0.0, 1, self._rng)
            return False
        now, token = self._now(), received.token.encode()
        self._inspector.received(session, token, sent_at=asked_at, now=now)
        session.fetched(token, received.expires_at - self._plan.begins_at, now, self._tally)
        return True

    def login(self, session: ClientSession) -> None:
        """Sign in again after a session was lost; retry until the run ends."""
        while self._now() < self._plan.load.duration:
            try:
                received = self._sign_in.sign_in(session.index)
            except (NoResponseError, TimeoutError):
                gevent.sleep(self._rng.random())
                continue
            self.begin(session, received)
            self._tally.logins += 1
            return
