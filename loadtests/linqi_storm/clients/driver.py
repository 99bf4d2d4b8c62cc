"""Runs the clients of one generator against a service, as an open loop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gevent
from gevent.event import Event

from linqi_storm.clients.client_session import ClientSession, Sent
from linqi_storm.clients.due_times import DueTimes
from linqi_storm.clients.hostile_load import HostileLoad
from linqi_storm.clients.http_connections import ConnectionPool, NoResponseError, WireResponse
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.clients.login_endpoint import read_credential, refusal_of
from linqi_storm.clients.outcomes import outcome_of
from linqi_storm.clients.sign_in import SignIn
from linqi_storm.clients.unverified_claims import expiry_of
from linqi_storm.clients.wall_clock import WallClock
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan

__all__ = ["Driver", "Reporter"]

Reporter = Callable[[str, str, float, int, Exception | None], None]
"""Receives every request: method, name, milliseconds since it was due, bytes, exception."""

_SOONEST_RETRY, _LATEST_RETRY = 0.25, 5.0
_WATCH_SECONDS, _WATCH_EVERY = 3.0, 0.02
_ACCEPTED_AFTER_REVOKE: Final = 1.0
"""Documented bound in seconds: until then other workers may accept a revoked session."""


@dataclass(slots=True, eq=False)
class _Tab:
    """One browser tab of a session, with at most one refresh in progress."""

    session: ClientSession
    refreshing: Event | None = None
    is_over: bool = False


class Driver:
    """The clients of one generator, from the barrier to the last response.

    Args:
        plan: The plan of the storm, with its barrier.
        scenario: The behaviour of the clients.
        sign_in: Signs a client in again after its session was lost.
        recorder: Counts the requests.
        forger: Makes the tokens of hostile requests.
        share: This generator's share of the hostile load, 0 to 1.
        seed: For all draws.
        report: Receives every honest request.

    """

    def __init__(
        self,
        plan: GeneratorPlan,
        scenario: Scenario,
        sign_in: SignIn,
        recorder: LoadRecorder,
        *,
        forger: Forger,
        share: float = 1.0,
        seed: int = 1,
        report: Reporter = lambda *_: None,
    ) -> None:
        self._plan = plan
        self._scenario = scenario
        self._sign_in = sign_in
        self._recorder = recorder
        self._tally = recorder.tally
        self._share = share
        self._report = report
        self._now = WallClock(plan.begins_at)
        self._rng = random.Random(seed)  # noqa: S311 - not for a secret
        self._requests = RequestBuilder(plan.url, plan.transport)
        self._pool = ConnectionPool(
            plan.url, timeout=plan.timeout, seed=seed, on_reconnect=self._count_reconnect
        )
        self._hostile_pool = ConnectionPool(plan.url, timeout=plan.timeout, seed=seed)
        self._hostile_load = HostileLoad(
            forger,
            self._hostile_pool,
            self._requests,
            recorder,
            rng=self._rng,
            now=self._now,
            spawn=self._spawn,
        )
        self._tabs: DueTimes[_Tab] = DueTimes(self._next_gap)
        every = scenario.polls_every()
        self._polls_every = float("inf") if every is None else every
        self._polls: DueTimes[_Tab] = DueTimes(lambda _: self._polls_every)
        self._sessions: list[ClientSession] = []
        self._in_flight = 0
        self._running: set[gevent.Greenlet] = set()

    def add_clients(self, first_index: int, credentials: Sequence[Credential]) -> None:
        """Add clients, numbered from `first_index`, with their tokens at the barrier."""
        for index, held in enumerate(credentials, first_index):
            session = ClientSession(index, self._plan.load.buffer)
            zero = self._plan.begins_at
            session.begin(
                held.token.encode(),
                held.expires_at - zero,
                held.refresh_token,
                held.sequence,
                held.refresh_expires_at - zero if held.refresh_token else float("inf"),
            )
            self._sessions.append(session)
            for _ in range(self._scenario.tabs):
                due = max(self._scenario.first_due(index, self._rng), held.begins_at - zero)
                tab = _Tab(session)
                self._tabs.add(tab, due)
                if self._polls_every < float("inf"):
                    self._polls.add(tab, due + self._rng.random() * self._polls_every)

    def drive(self) -> None:
        """Run for the plan's duration, and until every response has arrived or timed out."""
        ends = self._plan.load.duration
        self._pool.warm(max(1, int(self._scenario.connections * self._share)))
        rate = self._scenario.hostile_per_second * self._share
        beside = [
            gevent.spawn(self._watch_self),
            gevent.spawn(self._hostile_load.run, self._sessions, rate, ends),
        ]
        for session in self._sessions:
            leaves = self._scenario.signs_out_at(session.index)
            if leaves is not None:
                self._spawn(self._revoke, session, leaves)
        while (soonest := min(self._tabs.next_due, self._polls.next_due)) < ends:
            wait = soonest - self._now()
            if wait > 0:
                gevent.sleep(wait)
            for due, tab in self._polls.pop(min(self._now(), ends)):
                self._spawn(self._poll, tab, due)
            for due, tab in self._tabs.pop(min(self._now(), ends)):
                parallel = self._scenario.parallel(self._rng)
                self._recorder.parallel[parallel] += 1
                self._spawn(self._visit, tab, due, parallel)
        gevent.sleep(max(0.0, ends - self._now()))
        gevent.joinall(list(self._running), timeout=2 * self._plan.timeout)
        gevent.killall(beside)
        for session in self._sessions:
            if session.is_silent and session.renew_at < ends and session.revoked_at is None:
                self._tally.silent += 1
        self._pool.close()
        self._hostile_pool.close()

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        made = gevent.spawn(work, *arguments)
        self._running.add(made)
        made.rawlink(self._running.discard)

    def _next_gap(self, tab: _Tab) -> float:
        gap = self._scenario.gap(tab.session.index, self._rng)
        self._recorder.record_gap(gap)
        return gap

    def _visit(self, tab: _Tab, due: float, parallel: int) -> None:
        """Open one page: renew first if the client does that, then send all its requests."""
        session, mode = tab.session, self._plan.mode
        if tab.is_over or session.revoked_at is not None:
            return
        now = self._now()
        self._recorder.record_lag(max(0.0, now - due))
        session.visit(now, self._tally)
        if mode != "sliding" and now >= session.renew_at:
            self._renew_first(tab, due)
            if self._now() >= session.expires_at:
                return  # the run has ended, or the session
        for _ in range(parallel - 1):
            self._spawn(self._page, tab, due)
        self._page(tab, due)

    def _page(self, tab: _Tab, due: float) -> None:
        session = tab.session
        sent = session.send(self._now())
        response = self._ask(
            "GET", self._requests.page(sent.token), due, sent=sent, session=session
        )
        if response is None:
            return
        successor = self._requests.successor(response) if self._plan.mode == "sliding" else None
        expires_at = 0.0
        if successor is not None:
            expires_at = expiry_of(successor) - self._plan.begins_at
        verdict = session.answered(
            sent, response.status, successor, expires_at, self._now(), self._tally
        )
        if verdict == "lost":
            self._login(session)

    def _poll(self, tab: _Tab, due: float) -> None:
        """Send a quiet request unless the token held has expired, as the clients of linqi do."""
        session, now = tab.session, self._now()
        if tab.is_over or session.revoked_at is not None:
            return
        self._recorder.record_lag(max(0.0, now - due))
        if now >= session.expires_at:
            self._tally.quiet_unsent += 1
            return
        sent = session.send(now)
        response = self._ask(
            "GET", self._requests.poll(sent.token), due, session=session, success="quiet"
        )
        if response is None:
            return
        brought = self._requests.successor(response)
        if session.polled(sent, response.status, brought, self._now(), self._tally) == "lost":
            self._login(session)

    def _ask(
        self,
        method: str,
        request: bytes,
        due: float,
        *,
        sent: Sent | None = None,
        session: ClientSession,
        success: str = "ok",
    ) -> WireResponse | None:
        """Send a request and record the outcome; return None if no response reached the client."""
        began = self._now()
        self._in_flight += 1
        fault: Exception | None = None
        response: WireResponse | None = None
        try:
            response = self._pool.exchange(request)
        except TimeoutError as error:
            fault, outcome = error, "timeout"
        except NoResponseError as error:
            fault, outcome = error, "broken"
        ended = self._now()
        if response is not None:
            outcome = outcome_of(response.status, success)
            if outcome == "ok" and self._requests.successor(response) is not None:
                outcome = "renewed"
            if self._scenario.loses_reply(self._rng):
                outcome, response = "dropped", None
                if sent is not None:
                    session.dropped(sent)
        self._recorder.record(due, outcome, ended - began, ended - due)
        self._recorder.note(int(due), in_flight=self._in_flight)
        self._in_flight -= 1
        size = 0 if response is None else len(response.body)
        self._report(method, success, (ended - due) * 1000, size, fault)
        return response

    def _renew_first(self, tab: _Tab, due: float) -> None:
        """Renew on behalf of the client; all requests of one tab wait for the same renewal."""
        if tab.refreshing is not None:
            tab.refreshing.wait()
            return
        tab.refreshing = Event()
        try:
            while not self._renew_once(tab.session, due):
                now = self._now()
                wait = tab.session.retry_at - now
                is_live = now < tab.session.expires_at
                if is_live or now + wait > self._plan.load.duration + self._plan.timeout:
                    return  # the token held is still valid, or the run ends first
                gevent.sleep(max(0.0, wait))
                due = self._now()
        finally:
            tab.refreshing.set()
            tab.refreshing = None

    def _renew_once(self, session: ClientSession, due: float) -> bool:
        """Try to renew once; return False if another try after ``retry_at`` may succeed."""
        if self._plan.mode == "outside":
            return self._fetch(session)
        presented = session.refresh_token
        response = self._ask(
            "POST", self._requests.refresh(presented), due, session=session, success="refreshed"
        )
        now = self._now()
        received = self._pair_in(response, presented, session.sequence + 1)
        if received is not None:
            session.refreshed(
                presented,
                received.token.encode(),
                received.expires_at - self._plan.begins_at,
                received.refresh_token,
                received.refresh_expires_at,
                received.sequence,
                now,
                self._tally,
            )
            return True
        if response is not None and response.status in (400, 401):
            reason = refusal_of(response)
            if session.refresh_refused(presented, now, reason, self._tally) == "lost":
                self._login(session)
            return True
        # Full jitter, after the time that the server demands.
        session.retries += 1
        least = 0.0 if response is None else float(response.headers.get(b"retry-after", b"0"))
        longest = min(_LATEST_RETRY, _SOONEST_RETRY * 2 ** min(session.retries, 8))
        session.retry_at = now + least + self._rng.random() * longest
        return False

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
        try:
            received = self._sign_in.sign_in()
        except (NoResponseError, TimeoutError):
            session.retry_at = self._now() + self._rng.random() * _SOONEST_RETRY * 2
            return False
        zero = self._plan.begins_at
        session.fetched(
            received.token.encode(), received.expires_at - zero, self._now(), self._tally
        )
        return True

    def _login(self, session: ClientSession) -> None:
        """Sign in again after a session was lost; retry until the run ends."""
        while self._now() < self._plan.load.duration:
            try:
                received = self._sign_in.sign_in()
            except (NoResponseError, TimeoutError):
                gevent.sleep(self._rng.random())
                continue
            zero = self._plan.begins_at
            until = received.refresh_expires_at - zero if received.refresh_token else float("inf")
            session.begin(
                received.token.encode(),
                received.expires_at - zero,
                received.refresh_token,
                received.sequence,
                until,
            )
            self._tally.logins += 1
            return

    def _revoke(self, session: ClientSession, leaves: float) -> None:
        """Sign a session out, then measure how long its access token is still accepted."""
        gevent.sleep(max(0.0, leaves - self._now()))
        request = self._requests.logout(session.refresh_token)
        session.revoked_at = self._now()  # from now on a refusal is expected
        response = self._ask("POST", request, leaves, session=session, success="ok")
        if response is None or not 200 <= response.status < 300:
            session.revoked_at = None
            return
        since = self._now()
        request, last = self._requests.page(session.token), since
        while (now := self._now()) < min(since + _WATCH_SECONDS, session.expires_at):
            try:
                status = self._hostile_pool.exchange(request).status
            except (NoResponseError, TimeoutError):
                status = 0
            if 200 <= status < 300:
                last = now
                if now - since > _ACCEPTED_AFTER_REVOKE:
                    self._tally.accepted_revoked += 1
                    self._tally.note_violation(
                        f"a token was accepted {now - since:.3f} s after its session was revoked"
                    )
            gevent.sleep(_WATCH_EVERY)
        self._tally.refused_seconds.append(last - since)

    def _watch_self(self) -> None:
        """Record the CPU time of this process every second."""
        before, at = time.process_time(), self._now()
        while True:
            gevent.sleep(1 - self._now() % 1)
            used, now = time.process_time(), self._now()
            self._recorder.note(
                int(at), in_flight=self._in_flight, cpu=(used - before) / max(now - at, 1e-3)
            )
            before, at = used, now

    def _count_reconnect(self) -> None:
        self._tally.reconnects += 1
