"""Runs the clients of one generator against a service, as an open loop."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import gevent
from gevent.event import Event

from linqi_storm.clients.client_renewals import ClientRenewals
from linqi_storm.clients.client_session import ClientSession, Sent
from linqi_storm.clients.due_times import DueTimes
from linqi_storm.clients.exchange import Exchange
from linqi_storm.clients.generator_watch import watch_generator
from linqi_storm.clients.hostile_load import HostileLoad
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.clients.probe_requests import ProbeRequests
from linqi_storm.clients.prober import Prober
from linqi_storm.clients.request_statistics import Reporter, RequestStatistics
from linqi_storm.clients.sign_in import ReportedSignIn, SignIn
from linqi_storm.clients.sign_outs import SignOuts
from linqi_storm.clients.wall_clock import WallClock
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.scenarios.workload_traffic import OpenedPage
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan
from linqi_storm.schema.probes import Probe

__all__ = ["Driver"]

_NO_PAGE: Final = OpenedPage(())
_COLLECT_AFTER: Final = (5_000, 1_000_000, 1_000_000)
_LONGEST_WAIT: Final = 0.004
"""Seconds after which responses that are read in one piece wait for what is due to be sent."""
_TICK: Final = 0.001
"""Seconds between two looks at what is due: what is due together costs one wake-up. The event
loop's own timers are no finer, and the delay is part of every latency."""


@dataclass(slots=True, eq=False)
class _Tab:
    """One browser tab of a session, with at most one refresh in progress."""

    session: ClientSession
    page: OpenedPage = _NO_PAGE
    """The page that is due."""
    refreshing: Event | None = None
    leaves_at: float = float("inf")


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
        report: Receives every request, for Locust's statistics.

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
        self._recorder = recorder
        self._tally = recorder.tally
        self._share = share
        statistics = RequestStatistics(report)
        self._now = WallClock(plan.begins_at)
        self._rng = random.Random(seed)  # noqa: S311 - not for a secret
        self._requests = RequestBuilder(plan.url, plan.transport, plan.load.workload)
        self._pool = ConnectionPool(
            plan.url, timeout=plan.timeout, seed=seed, on_reconnect=self._tally.count_reconnect
        )
        self._hostile_pool = ConnectionPool(plan.url, timeout=plan.timeout, seed=seed)
        self._inspector = Inspector(plan, self._tally)
        self._exchange = Exchange(
            self._pool,
            self._requests,
            recorder,
            scenario,
            statistics=statistics,
            rng=self._rng,
            now=self._now,
            between=self._send_between,
        )
        self._renewals = ClientRenewals(
            plan,
            self._exchange,
            self._requests,
            ReportedSignIn(sign_in, statistics, self._now),
            self._inspector,
            self._tally,
            delay=scenario.retry_delay,
            rng=self._rng,
            now=self._now,
        )
        self._prober = self._make_prober()
        self._sign_outs = SignOuts(
            self._exchange,
            self._hostile_pool,
            self._requests,
            self._tally,
            path=plan.transport.logout_path,
            bound=plan.expected.revocation_bound,
            now=self._now,
        )
        self._hostile_load = HostileLoad(
            forger,
            self._hostile_pool,
            self._requests,
            recorder,
            self._inspector,
            rng=self._rng,
            now=self._now,
            statistics=statistics,
        )
        self._tabs: DueTimes[_Tab] = DueTimes(self._next_gap)
        every = scenario.polls_every()
        self._polls_every = float("inf") if every is None else every
        self._polls: DueTimes[_Tab] = DueTimes(lambda _: self._polls_every)
        self._sessions: list[ClientSession] = []
        self._probes: list[Probe] = []
        self._question = self._requests.question
        self._running: set[gevent.Greenlet] = set()
        self._sent_at = float("inf")
        """When what is due was last sent; infinite while that must not be done, or is being."""

    def _make_prober(self) -> Prober:
        requests = ProbeRequests(
            self._pool,
            self._requests,
            self._inspector,
            self._tally,
            now=self._now,
            ends=self._plan.load.duration,
        )
        return Prober(self._plan, requests, self._inspector, self._tally, spawn=self._spawn)

    def add_clients(self, first_index: int, credentials: Sequence[Credential]) -> None:
        """Add clients, numbered from `first_index`, with their tokens at the barrier."""
        for index, held in enumerate(credentials, first_index):
            session = ClientSession(index, self._plan.load.buffer, self._plan.expected)
            zero = self._plan.begins_at
            self._renewals.begin(session, held)
            self._sessions.append(session)
            for _ in range(self._scenario.tabs):
                due = max(self._scenario.first_due(index, self._rng), held.begins_at - zero)
                tab = _Tab(session, leaves_at=self._scenario.leaves_at(index))
                self._tabs.add(tab, due)
                if self._polls_every < float("inf"):
                    self._polls.add(tab, due + self._rng.random() * self._polls_every)

    def settle(self) -> None:
        """Keep the clients out of garbage collection, and keep each collection short.

        A request leaves no cycle behind. With Python's own thresholds each session's next due time,
        a tuple made since, would be walked again and again: 8 % of the CPU time, and 40 to 80 ms at
        once. So only young objects are walked, 1 ms for 5,000 of them.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)

    def add_probes(self, probes: Sequence[Probe]) -> None:
        """Add tokens to present beside the clients."""
        self._probes.extend(probes)

    def drive(self) -> None:
        """Run for the plan's duration, and until every response has arrived or timed out."""
        ends = self._plan.load.duration
        self._pool.warm(max(1, int(self._scenario.connections * self._share)))
        rate = self._scenario.hostile_per_second * self._share
        beside = [
            gevent.spawn(
                watch_generator, self._recorder, self._now, lambda: self._exchange.in_flight
            ),
            gevent.spawn(self._hostile_load.run, self._sessions, rate, ends),
            gevent.spawn(self._prober.run, self._probes),
            gevent.spawn(self._prober.ask_without_token),
        ]
        for session in self._sessions:
            leaves = self._scenario.signs_out_at(session.index)
            if leaves is not None:
                self._spawn(self._sign_outs.run, session, leaves)
        while (soonest := min(self._tabs.next_due, self._polls.next_due)) < ends:
            gevent.sleep(max(_TICK, soonest - self._now()))
            self._send_due()
        self._sent_at = float("inf")
        gevent.sleep(max(0.0, ends - self._now()))
        self._await_responses()
        gevent.killall(beside)
        for session in self._sessions:
            leaves = min(ends, self._scenario.leaves_at(session.index))
            if session.is_silent and session.renew_at < leaves and session.revoked_at is None:
                self._tally.silent += 1
        self._pool.close()
        self._hostile_pool.close()

    def _send_due(self) -> None:
        """Send what is due now."""
        now = min(self._now(), self._plan.load.duration)
        self._sent_at = float("inf")
        for due, tab in self._polls.pop(now):
            if due < tab.leaves_at:
                self._poll(tab, due)
        for due, tab in self._tabs.pop(now):
            if due < tab.leaves_at:
                self._recorder.parallel[tab.page.size] += 1
                self._visit(tab, due, tab.page)
        self._sent_at = now

    def _send_between(self, now: float) -> None:
        """Send what is due before more responses are read.

        The event loop reads what has arrived in one piece: after a server stood still, thousands of
        responses, which take 100 ms.
        """
        if now - self._sent_at > _LONGEST_WAIT:
            self._send_due()

    def _await_responses(self) -> None:
        latest = self._now() + 2 * self._plan.timeout
        while (self._exchange.in_flight or self._running) and self._now() < latest:
            gevent.sleep(10 * _TICK)

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        made = gevent.spawn(work, *arguments)
        self._running.add(made)
        made.rawlink(self._running.discard)

    def _next_gap(self, tab: _Tab) -> float:
        # Called when a page is due: the pause after it may depend on the page.
        if self._now() >= tab.leaves_at:
            return float("inf")
        tab.page = self._scenario.open_page(self._rng)
        gap = self._scenario.pause_after(tab.page, tab.session.index, self._rng)
        self._recorder.record_gap(gap)
        return gap

    def _visit(self, tab: _Tab, due: float, page: OpenedPage) -> None:
        """Open one page: renew first if the client does that, then send all its requests."""
        session, mode = tab.session, self._plan.mode
        if session.revoked_at is not None:
            return
        now = self._now()
        self._recorder.record_lag(due, max(0.0, now - due))
        for number in page.public:
            self._ask_publicly(session, due, number)
        if not page.requests:
            return
        session.visit(now, self._tally)
        if mode != "sliding" and now >= session.renew_at:
            self._spawn(self._renew_and_open, tab, due, page)
        else:
            self._open(tab, due, page)

    def _renew_and_open(self, tab: _Tab, due: float, page: OpenedPage) -> None:
        self._renew_first(tab, due)
        if self._now() < tab.session.expires_at:  # else the run has ended, or the session
            self._open(tab, due, page)

    def _open(self, tab: _Tab, due: float, page: OpenedPage) -> None:
        for number in page.requests:
            self._ask(tab, due, number)

    def _ask_publicly(self, session: ClientSession, due: float, number: int) -> None:
        """Send a request without a token: its response says nothing of the session."""
        kind, request = self._requests.kinds[number], self._requests.page(b"", number)
        self._exchange.send(kind, request, due, lambda _: None, session=session)

    def _ask(self, tab: _Tab, due: float, number: int) -> None:
        session = tab.session
        sent = session.send(self._now())
        self._exchange.send(
            self._requests.kinds[number],
            self._requests.page(sent.token, number),
            due,
            partial(self._answered, tab, sent),
            sent=sent,
            session=session,
        )

    def _answered(self, tab: _Tab, sent: Sent, response: WireResponse | None) -> None:
        """Check the response to the request of a page, and keep its successor."""
        if response is None:
            return
        session, now = tab.session, self._now()
        self._inspect(sent, response)
        if sent.logins != session.logins:
            return  # its client has signed in since: the tokens are of another session
        is_carrier = self._plan.mode == "sliding" and 200 <= response.status < 300
        successor = self._requests.successor(response) if is_carrier else None
        expires_at, due_at = session.expires_at, session.renew_at
        is_new = successor is not None and successor != session.token
        if successor is not None:
            self._inspector.renewed(session, response, due_at=sent.due_at, now=now)
            if is_new:
                # A client that waited a whole period may get a successor of the period before.
                is_prompt = sent.at < sent.due_at + self._plan.load.period
                expires_at, due_at = self._inspector.received(
                    session, successor, sent_at=sent.at if is_prompt else None, now=now
                )
        verdict = session.answered(
            sent,
            response.status,
            successor,
            expires_at,
            now,
            self._tally,
            successor_due_at=due_at,
        )
        if verdict == "lost":
            self._spawn(self._renewals.login, session)
        elif is_new and session.token == successor:
            self._prober.superseded(sent.token, sent.expires_at)
            if self._question is not None and now < self._plan.load.duration:
                self._ask(tab, now, self._question)  # who am I now?

    def _inspect(self, sent: Sent, response: WireResponse) -> None:
        """Check the response to the request of a page."""
        if 200 <= response.status < 300:
            self._inspector.answered(sent.identity, response)
        else:
            self._inspector.refused(response)

    def _poll(self, tab: _Tab, due: float) -> None:
        """Send a quiet request unless the token held has expired, as the clients of linqi do."""
        session, now = tab.session, self._now()
        if session.revoked_at is not None:
            return
        self._recorder.record_lag(due, max(0.0, now - due))
        if now >= session.expires_at:
            self._tally.quiet_unsent += 1
            return
        sent = session.send(now)
        kind = ("QUIET", self._requests.pages[0].path)
        request = self._requests.poll(sent.token)
        self._exchange.send(
            kind,
            request,
            due,
            partial(self._poll_answered, session, sent),
            session=session,
            success="quiet",
        )

    def _poll_answered(
        self, session: ClientSession, sent: Sent, response: WireResponse | None
    ) -> None:
        if response is None:
            return
        self._inspect(sent, response)
        if sent.logins != session.logins:
            return
        brought = self._requests.successor(response)
        if session.polled(sent, response.status, brought, self._now(), self._tally) == "lost":
            self._spawn(self._renewals.login, session)

    def _renew_first(self, tab: _Tab, due: float) -> None:
        """Renew on behalf of the client; all requests of one tab wait for the same renewal."""
        if tab.refreshing is not None:
            tab.refreshing.wait()
            return
        session = tab.session
        replaced, expired_at = session.token, session.expires_at
        tab.refreshing = Event()
        try:
            for _ in range(1, self._scenario.refreshes):
                self._spawn(self._renewals.renew, session, due)
            self._renewals.renew(session, due)
        finally:
            tab.refreshing.set()
            tab.refreshing = None
        if session.token != replaced:
            self._prober.superseded(replaced, expired_at)
