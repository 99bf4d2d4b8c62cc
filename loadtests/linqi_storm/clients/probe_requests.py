"""Requests of probes, on the connections of honest clients."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import gevent

from linqi_storm.clients.client_session import Tally
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.login_endpoint import read_credential
from linqi_storm.clients.wire_responses import NoResponseError, WireResponse
from linqi_storm.schema.generator_plan import Credential
from linqi_storm.schema.probes import PAST_SECONDS
from linqi_storm.schema.violations import BOUNDED_RULES, NO_TOKEN

__all__ = ["ProbeRequests"]

_LAST_SECONDS: Final = 1.0
"""No presentation is planned later than this after the end of the load."""


class ProbeRequests:
    """Presents tokens in the requests that honest clients send, and counts what was accepted.

    A service that knew hostile clients by their headers or connections would not know these.

    Args:
        pool: The connections of honest clients.
        requests: Builds the requests.
        inspector: Checks refusals.
        tally: Receives the counts.
        now: Returns the seconds since the barrier.
        ends: The end of the load, in seconds since the barrier.

    """

    def __init__(
        self,
        pool: ConnectionPool,
        requests: RequestBuilder,
        inspector: Inspector,
        tally: Tally,
        *,
        now: Callable[[], float],
        ends: float,
    ) -> None:
        self._pool = pool
        self._requests = requests
        self._inspector = inspector
        self._tally = tally
        self.now = now
        self._latest = ends + _LAST_SECONDS

    def wait_until(self, instant: float) -> bool:
        """Wait until an instant; return False at once if it is after the run."""
        if instant > self._latest:
            return False
        gevent.sleep(max(0.0, instant - self.now()))
        return True

    def exchange(
        self, request: bytes, *, has_token: bool = True, is_page: bool = True
    ) -> WireResponse | None:
        """Return the response, with a refusal inspected; None if there is none."""
        try:
            response = self._pool.exchange(request)
        except (NoResponseError, TimeoutError):
            return None
        if not 200 <= response.status < 300:
            self._inspector.refused(response, has_token=has_token, is_page=is_page)
        return response

    def page(self, token: bytes) -> WireResponse | None:
        """Return the response to the request of a page."""
        return self.exchange(self._requests.page(token))

    def successor(self, token: bytes) -> bytes | None:
        """Request a page with a live token; return the successor in its response."""
        response = self.page(token)
        if response is None or not 200 <= response.status < 300:
            return None
        return self._requests.successor(response)

    def refresh(self, refresh_token: str) -> tuple[int, Credential | None]:
        """Redeem a refresh token; return the status, 0 without a response, and the tokens."""
        response = self.exchange(self._requests.refresh(refresh_token), is_page=False)
        if response is None:
            return 0, None
        if response.status != 200:
            return response.status, None
        self._inspector.issued(None, response)
        try:
            return 200, read_credential(
                response.body, self.now(), "access_token", refresh_token=refresh_token
            )
        except ValueError:
            return 200, None

    def sign_out(self, refresh_token: str) -> bool:
        """Sign a session out; return whether the service confirmed it."""
        response = self.exchange(self._requests.logout(refresh_token), is_page=False)
        return response is not None and 200 <= response.status < 300

    def ask_without_token(self, method: str, guests: Collection[tuple[str, str]]) -> None:
        """Request a page without a token, other than those that are for guests too."""
        request = self._requests.without_token(method, guests)
        response = None if request is None else self.exchange(request, has_token=False)
        if response is None:
            return
        # Some applications have no HEAD, and say so before they look for a token.
        tolerated = (404, 405) if method == "HEAD" else ()
        self._inspector.worthless(NO_TOKEN, response, method, tolerated=tolerated)

    def present(self, rule: str, token: bytes, what: str) -> None:
        """Present an access token that must be refused at any time."""
        response = self.page(token)
        if response is not None:
            self._inspector.worthless(rule, response, what)

    def must_refuse(self, rule: str, token: bytes, since: float, until: float, what: str) -> None:
        """Present an access token at several times after it became worthless.

        Args:
            rule: The rule that forbids to accept it.
            token: The token.
            since: The instant from which it is worthless, in seconds since the barrier. The time
                that counts is when a request was sent: a late client presents later, not earlier.
            until: No request is planned at or after this instant.
            what: Describes the token.

        """
        for seconds in PAST_SECONDS:
            if since + seconds >= until or not self.wait_until(since + seconds):
                return
            sent_at = self.now()
            response = self.page(token)
            if response is None:
                continue
            late, what_later = sent_at - since, f"{what}, {sent_at - since:.3f} s later"
            if rule in BOUNDED_RULES and 200 <= response.status < 300:
                self._tally.overdue(rule, sent_at, late, what_later)
            else:
                self._inspector.worthless(rule, response, what_later)

    def must_not_redeem(self, rule: str, refresh_token: str, what: str) -> bool:
        """Present a refresh token that is worthless; return whether the service refused it."""
        status, _ = self.refresh(refresh_token)
        if status not in (200, 400, 401):
            return False  # the service could not decide: a store is unreachable
        self._tally.checked[rule] += 1
        if status == 200:
            self._tally.violate(rule, what)
        return status != 200
