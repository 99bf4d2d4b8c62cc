"""Requests with tokens that must be refused, sent beside the honest ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import gevent

from linqi_storm.clients.client_session import ClientSession
from linqi_storm.clients.http_connections import ConnectionPool, NoResponseError
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.clients.outcomes import outcome_of
from linqi_storm.scenarios.forged_tokens import Forger

__all__ = ["HostileLoad"]


class HostileLoad:
    """Sends forged tokens at a Poisson rate, without waiting for the answers (open loop).

    Args:
        forger: Makes the tokens from live ones.
        pool: Connections of its own, so that honest requests do not wait for these.
        requests: Builds the requests.
        recorder: Counts the outcomes, and tokens that were accepted.
        rng: Draws the pauses and the tokens.
        now: Returns the seconds since the barrier.
        spawn: Runs a function with its arguments in a greenlet.

    """

    def __init__(
        self,
        forger: Forger,
        pool: ConnectionPool,
        requests: RequestBuilder,
        recorder: LoadRecorder,
        *,
        rng: random.Random,
        now: Callable[[], float],
        spawn: Callable[..., None],
    ) -> None:
        self._forger = forger
        self._pool = pool
        self._requests = requests
        self._recorder = recorder
        self._rng = rng
        self._now = now
        self._spawn = spawn

    def run(self, sessions: Sequence[ClientSession], rate: float, duration: float) -> None:
        """Send `rate` requests per second for `duration` seconds, forged from `sessions`."""
        due = 0.0
        while rate > 0:
            due += self._rng.expovariate(rate)
            if due >= duration:
                return
            gevent.sleep(max(0.0, due - self._now()))
            live = self._rng.choice(sessions).token if sessions else b""
            self._spawn(self._send, due, self._forger.forge(self._rng, live))

    def _send(self, due: float, token: bytes) -> None:
        status = 0
        try:
            status = self._pool.exchange(self._requests.page(token)).status
            outcome = outcome_of(status, "ok")
        except TimeoutError:
            outcome = "timeout"
        except NoResponseError:
            outcome = "broken"
        self._recorder.record_hostile(due, outcome)
        if 200 <= status < 300:
            tally = self._recorder.tally
            tally.accepted_forged += 1
            tally.note_violation(f"a token that must be refused was accepted at {due:.3f} s")
