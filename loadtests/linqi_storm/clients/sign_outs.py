"""Honest clients that sign out, and how long their access tokens are accepted after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from linqi_storm.clients.client_session import ClientSession, Tally
from linqi_storm.clients.exchange import Exchange
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.wire_responses import NoResponseError
from linqi_storm.schema.violations import REVOKED

__all__ = ["SignOuts"]

_WATCH_SECONDS: Final = 3.0
_WATCH_EVERY: Final = 0.02


class SignOuts:
    """Signs sessions out, and measures when the last worker refuses their access tokens.

    Args:
        exchange: Sends the sign-out.
        pool: Connections that reach all workers.
        requests: Builds the requests.
        tally: Receives the counts.
        path: Of the sign-out.
        bound: Seconds until every worker refuses a revoked session.
        now: Returns the seconds since the barrier.

    """

    def __init__(
        self,
        exchange: Exchange,
        pool: ConnectionPool,
        requests: RequestBuilder,
        tally: Tally,
        *,
        path: str,
        bound: float,
        now: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._pool = pool
        self._requests = requests
        self._tally = tally
        self._path = path
        self._bound = bound
        self._now = now

    def run(self, session: ClientSession, leaves: float) -> None:
        """Sign a session out at `leaves`, then present its access token until it is refused."""
        gevent.sleep(max(0.0, leaves - self._now()))
        request = self._requests.logout(session.refresh_token)
        session.revoked_at = self._now()  # from now on a refusal is expected
        kind = ("LOGOUT", self._path)
        response = self._exchange.ask(kind, request, leaves, session=session, success="ok")
        if response is None or response.status >= 500:
            return  # the session may be over, and may not
        if response.status >= 300:
            session.revoked_at = None
            return
        since = self._now()
        request, last = self._requests.page(session.token), since
        while (now := self._now()) < min(since + _WATCH_SECONDS, session.expires_at):
            try:
                status = self._pool.exchange(request).status
            except (NoResponseError, TimeoutError):
                status = 0
            is_late = now - since > self._bound
            self._tally.checked[REVOKED] += is_late and status >= 300
            if 200 <= status < 300:
                last = now
                if is_late:
                    late = now - since - self._bound
                    what = f"{now - since:.3f} s after the sign-out"
                    self._tally.overdue(REVOKED, now, late, what)
            gevent.sleep(_WATCH_EVERY)
        self._tally.refused_seconds.append(last - since)
