"""Presents probes: expired and revoked tokens, and refresh tokens that a thief copied."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final

import gevent

from linqi_storm.clients.client_session import Tally
from linqi_storm.clients.inspector import Inspector
from linqi_storm.clients.probe_requests import ProbeRequests
from linqi_storm.clients.thefts import Thefts
from linqi_storm.clients.unverified_claims import claims_in
from linqi_storm.schema.generator_plan import GeneratorPlan
from linqi_storm.schema.probes import PROBES_PER_SECOND, Probe
from linqi_storm.schema.violations import EXPIRED, FORGED, PREMATURE, REFRESH_AS_ACCESS, REVOKED

__all__ = ["Prober"]

_WARM_SECONDS: Final = (0.3, 0.1)
"""When every other expiring token is used before it expires, so that workers have cached it."""
_TOKENLESS_EVERY: Final = 0.5
_FOREVER: Final = float("inf")


class Prober:
    """Runs the probes of one generator beside its honest clients.

    Args:
        plan: The storm.
        requests: Sends the requests.
        inspector: Checks the tokens that they bring.
        tally: Receives the counts.
        spawn: Runs a function with its arguments in a greenlet.

    """

    def __init__(
        self,
        plan: GeneratorPlan,
        requests: ProbeRequests,
        inspector: Inspector,
        tally: Tally,
        *,
        spawn: Callable[..., None],
    ) -> None:
        self._zero = plan.begins_at
        self._ends = plan.load.duration
        self._expected = plan.expected
        self._requests = requests
        self._inspector = inspector
        self._tally = tally
        self._spawn = spawn
        self._thefts = Thefts(plan, requests, tally, bound=plan.expected.revocation_bound)
        self._next_superseded = 0.0
        self._runs: dict[str, Callable[[Probe], None]] = {
            "expiring": self._expire,
            "premature": self._come_early,
            "foreign": self._come_from_elsewhere,
            "ending": self._end,
            "signed_out": self._sign_out,
            **self._thefts.runs,
        }

    def run(self, probes: Sequence[Probe]) -> None:
        """Start each probe at its instant; return when all have started."""
        for number, probe in enumerate(sorted(probes, key=lambda one: one.begins_at)):
            gevent.sleep(max(0.0, probe.begins_at - self._requests.now()))
            if probe.kind == "expiring" and number % 2:
                self._spawn(self._warm, probe)
            self._spawn(self._runs[probe.kind], probe)

    def superseded(self, token: bytes, expires_at: float) -> None:
        """Present a token that its client has replaced, once it has expired; not all of them."""
        if expires_at < self._next_superseded:
            return
        self._next_superseded = expires_at + 1 / PROBES_PER_SECOND["expiring"]
        self._spawn(self._present_expired, token, expires_at)

    def _warm(self, probe: Probe) -> None:
        """Use a token shortly before it expires."""
        for seconds in _WARM_SECONDS:
            if self._requests.wait_until(probe.instant - self._zero - seconds):
                successor = self._requests.successor(probe.token.encode())
                self._tally.probe_renewals += successor is not None

    def _expire(self, probe: Probe) -> None:
        self._present_expired(probe.token.encode(), probe.instant - self._zero)

    def _present_expired(self, token: bytes, expires_at: float) -> None:
        since = expires_at + self._expected.leeway + self._expected.clock_error
        self._requests.must_refuse(EXPIRED, token, since, _FOREVER, "accepted after expiry")

    def _come_early(self, probe: Probe) -> None:
        """Present a token before ``nbf``: the response must arrive before it to count."""
        valid_from = probe.instant - self._zero - self._expected.leeway
        response = self._requests.page(probe.token.encode())
        if response is None or self._requests.now() > valid_from - self._expected.clock_error:
            return
        self._inspector.worthless(PREMATURE, response, "a token was accepted before nbf")

    def _come_from_elsewhere(self, probe: Probe) -> None:
        """Present a token of another issuer, signed with the right key (RFC 8725, section 3.8)."""
        self._requests.present(FORGED, probe.token.encode(), "another issuer")

    def ask_without_token(self) -> None:
        """Request a page without a token, by GET and HEAD in turn, until the end of the run."""
        methods = itertools.cycle(("GET", "HEAD"))
        instants = itertools.count(_TOKENLESS_EVERY / 2, _TOKENLESS_EVERY)
        for method, instant in zip(methods, instants, strict=False):
            if instant > self._ends or not self._requests.wait_until(instant):
                return
            self._requests.ask_without_token(method, self._expected.guests)

    def _end(self, probe: Probe) -> None:
        """Renew a session that ends soon, and present the successor after the end."""
        token, sent_at = probe.token.encode(), self._requests.now()
        successor = self._requests.successor(token)
        if successor is None:
            return
        self._tally.probe_renewals += 1
        expires_at = self._inspector.probed(
            token, successor, sent_at=sent_at, now=self._requests.now()
        )
        self._present_expired(successor, expires_at)

    def _sign_out(self, probe: Probe) -> None:
        """Sign a session out; its access token has a bound, its refresh token has none."""
        _, held = self._requests.refresh(probe.refresh_token)
        if held is not None:
            self._requests.present(
                REFRESH_AS_ACCESS, held.refresh_token.encode(), "a refresh token as bearer token"
            )
        if held is None or not self._requests.sign_out(held.refresh_token):
            return
        since = self._requests.now() + self._expected.revocation_bound
        self._requests.must_not_redeem(REVOKED, held.refresh_token, "a refresh token")
        until = float(claims_in(held.token.encode()).get("exp", 0.0)) - self._zero
        self._requests.must_refuse(
            REVOKED, held.token.encode(), since, until, "an access token past the bound"
        )
