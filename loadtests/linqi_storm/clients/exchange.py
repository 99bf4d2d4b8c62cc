"""One request of an honest client, with its outcome counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gevent.event import AsyncResult

from linqi_storm.clients.client_session import ClientSession, Sent
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.clients.outcomes import outcome_of
from linqi_storm.clients.request_statistics import RequestStatistics
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.scenarios.base import Scenario

__all__ = ["Exchange", "Received"]

Received: TypeAlias = Callable[[WireResponse | None], object]
"""Receives the response, or None if no response reached the client. It must not wait."""


class Exchange:
    """Sends the requests of honest clients.

    Args:
        pool: Their connections.
        requests: Finds the successors in responses.
        recorder: Counts the outcomes.
        scenario: May discard responses.
        statistics: Receives every request.
        rng: Draws which responses are discarded.
        now: Returns the seconds since the barrier.
        between: Called after each response, with the seconds since the barrier.

    Attributes:
        in_flight: The number of requests without a response yet.

    """

    def __init__(
        self,
        pool: ConnectionPool,
        requests: RequestBuilder,
        recorder: LoadRecorder,
        scenario: Scenario,
        *,
        statistics: RequestStatistics,
        rng: random.Random,
        now: Callable[[], float],
        between: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._pool = pool
        self._requests = requests
        self._recorder = recorder
        self._scenario = scenario
        self._statistics = statistics
        self._rng = rng
        self._now = now
        self._between = between
        self.in_flight = 0

    def send(
        self,
        kind: tuple[str, str],
        request: bytes,
        due: float,
        received: Received,
        *,
        sent: Sent | None = None,
        session: ClientSession,
        success: str = "ok",
    ) -> None:
        """Send a request, record its outcome, and call `received`.

        Args:
            kind: Its row in the statistics of Locust; a renewal has one of its own.
            request: Its bytes.
            due: When it was planned, in seconds since the barrier.
            received: Receives the response, or None if no response reached the client.
            sent: The token that was presented, if the response may renew it.
            session: Of the client.
            success: The outcome of every 2xx.

        """
        self.in_flight += 1
        made = _InFlight(self, kind, due, self._now(), received, sent, session, success)
        self._pool.send(request, made.answered)

    def ask(
        self,
        kind: tuple[str, str],
        request: bytes,
        due: float,
        *,
        session: ClientSession,
        success: str = "ok",
    ) -> WireResponse | None:
        """Send a request as `send` does, and wait for its response."""
        answer = AsyncResult()
        self.send(kind, request, due, answer.set, session=session, success=success)
        response: WireResponse | None = answer.get()
        return response

    def answered(
        self, made: _InFlight, response: WireResponse | None, fault: Exception | None
    ) -> None:
        """Record the outcome of a request, and hand the response to its client."""
        ended = self._now()
        row, outcome = made.kind, "timeout" if isinstance(fault, TimeoutError) else "broken"
        reaching = response
        if response is not None:
            outcome = outcome_of(response.status, made.success)
            if outcome == "ok" and self._requests.successor(response) is not None:
                outcome, row = "renewed", ("RENEW", row[1])
            if self._scenario.loses_reply(self._rng):
                outcome, row, reaching = "dropped", made.kind, None
                if made.sent is not None:
                    made.session.dropped(made.sent)
        intended = ended - made.due
        self._recorder.record(
            made.due, outcome, ended - made.began, intended, in_flight=self.in_flight
        )
        self.in_flight -= 1
        self._statistics.count(*row, intended, reaching, fault)
        made.received(reaching)
        self._between(ended)


@dataclass(slots=True, eq=False)
class _InFlight:
    """A request without a response yet."""

    exchange: Exchange
    kind: tuple[str, str]
    due: float
    began: float
    received: Received
    sent: Sent | None
    session: ClientSession
    success: str

    def answered(self, response: WireResponse | None, fault: Exception | None) -> None:
        """Pass the response on."""
        self.exchange.answered(self, response, fault)
