"""Requests with tokens that must be refused, sent beside the honest ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import gevent

from linqi_storm.clients.client_session import ClientSession
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.clients.outcomes import outcome_of
from linqi_storm.clients.request_statistics import RequestStatistics
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.schema.violations import FORGED, REVOKED

__all__ = ["HostileLoad"]

_MALFORMED: Final = (400, 413, 414, 431)
"""Statuses for what is no token, or is too long for a header; 400 also refuses a refresh (RFC 6749,
section 5.2)."""


class HostileLoad:
    """Sends forged tokens at a Poisson rate, without waiting for the answers (open loop).

    Args:
        forger: Makes the tokens from live ones.
        pool: Connections of its own, so that honest requests do not wait for these.
        requests: Builds the requests.
        recorder: Counts the outcomes, and tokens that were accepted.
        inspector: Checks the refusals.
        rng: Draws the pauses and the tokens.
        now: Returns the seconds since the barrier.
        statistics: Receives the requests.

    """

    def __init__(
        self,
        forger: Forger,
        pool: ConnectionPool,
        requests: RequestBuilder,
        recorder: LoadRecorder,
        inspector: Inspector,
        *,
        rng: random.Random,
        now: Callable[[], float],
        statistics: RequestStatistics,
    ) -> None:
        self._forger = forger
        self._pool = pool
        self._requests = requests
        self._recorder = recorder
        self._inspector = inspector
        self._rng = rng
        self._now = now
        self._statistics = statistics

    def run(self, sessions: Sequence[ClientSession], rate: float, duration: float) -> None:
        """Send `rate` requests per second for `duration` seconds, forged from `sessions`."""
        due = 0.0
        while rate > 0:
            due += self._rng.expovariate(rate)
            if due >= duration:
                return
            gevent.sleep(max(0.0, due - self._now()))
            live = self._rng.choice(sessions).token if sessions else b""
            self._send(due, self._forger.forge(self._rng, live))

    def _send(self, due: float, token: bytes) -> None:
        request = (
            self._requests.refresh(token.decode())
            if self._forger.is_refresh
            else self._requests.page(token)
        )
        self._pool.send(request, partial(self._answered, due, token))

    def _answered(
        self, due: float, token: bytes, response: WireResponse | None, fault: Exception | None
    ) -> None:
        status, is_refresh = 0, self._forger.is_refresh
        if response is None:
            outcome = "timeout" if isinstance(fault, TimeoutError) else "broken"
        else:
            status = response.status
            outcome = outcome_of(status, "ok")
            if not 200 <= status < 300:
                self._inspector.refused(response, is_page=not is_refresh)
        self._recorder.record_hostile(due, outcome)
        path = self._requests.kinds[0][1]
        self._statistics.count_hostile(path, self._now() - due, status)
        if response is not None:
            is_malformed = is_refresh or token.count(b".") != 2
            self._inspector.worthless(
                REVOKED if is_refresh else FORGED,
                response,
                f"at {due:.3f} s",
                tolerated=_MALFORMED if is_malformed else (),
            )
