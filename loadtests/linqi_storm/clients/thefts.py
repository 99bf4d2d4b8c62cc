"""A thief with a copy of a session's refresh token, beside the owner of the session."""

from __future__ import annotations

from collections.abc import Callable

from linqi_storm.clients.client_session import Tally
from linqi_storm.clients.probe_requests import ProbeRequests
from linqi_storm.clients.unverified_claims import expiry_of
from linqi_storm.schema.generator_plan import GeneratorPlan
from linqi_storm.schema.probes import Probe
from linqi_storm.schema.violations import (
    REPLAYED_BRANCH,
    REPLAYED_LATE,
    STOLEN,
    SURVIVED_THEFT,
)

__all__ = ["Thefts"]


class Thefts:
    """Plays the owner and the thief of the sessions that are stolen (RFC 9700, section 4.14.2).

    These sessions are no honest user's: their end is no forced logout.

    Args:
        plan: The storm.
        requests: Sends the requests.
        tally: Receives the counts.
        bound: Seconds until every worker refuses a revoked session.

    Attributes:
        runs: What to do with each kind of probe.

    """

    def __init__(
        self, plan: GeneratorPlan, requests: ProbeRequests, tally: Tally, *, bound: float
    ) -> None:
        self._zero = plan.begins_at
        self._grace = plan.expected.grace
        self._requests = requests
        self._tally = tally
        self._bound = bound
        self.runs: dict[str, Callable[[Probe], None]] = {
            "stolen": self._spent_twice,
            "in_grace": self._in_grace,
            "past_grace": self._past_grace,
            "past_recovery": self._past_recovery,
        }

    def _spent_twice(self, probe: Probe) -> None:
        """Present a token that the owner replaced twice: it is reuse, and ends the session."""
        _, first = self._requests.refresh(probe.refresh_token)
        if first is None:
            return
        _, second = self._requests.refresh(first.refresh_token)
        if second is None:
            return
        self._tally.thefts += 1
        if self._requests.must_not_redeem(STOLEN, probe.refresh_token, "spent twice before"):
            self._must_be_over(second.refresh_token, second.token.encode())

    def _in_grace(self, probe: Probe) -> None:
        """Present a token just after its owner: the thief gets the owner's successor, no other."""
        began = self._requests.now()
        _, owner = self._requests.refresh(probe.refresh_token)
        _, thief = self._requests.refresh(probe.refresh_token)
        is_late = self._requests.now() > began + self._grace
        if owner is None or thief is None or is_late:
            return
        self._tally.checked[REPLAYED_BRANCH] += 1
        if thief.refresh_token != owner.refresh_token:
            self._tally.violate(REPLAYED_BRANCH, "two holders of one token got two successors")

    def _past_grace(self, probe: Probe) -> None:
        """Present a token after the grace: a new successor, and the owner's is reuse then."""
        _, thief = self._requests.refresh(probe.spent)
        if thief is None:
            return
        self._tally.checked[REPLAYED_LATE] += 1
        if thief.refresh_token == probe.refresh_token:
            self._tally.violate(REPLAYED_LATE, "the same successor came after the grace")
            return
        self._tally.thefts += 1
        if self._requests.must_not_redeem(STOLEN, probe.refresh_token, "of a superseded branch"):
            self._must_be_over(thief.refresh_token, thief.token.encode())

    def _past_recovery(self, probe: Probe) -> None:
        """Present a token after `recover_seconds`: it is reuse, although no one refreshed since."""
        self._tally.thefts += 1
        if self._requests.must_not_redeem(STOLEN, probe.spent, "after the time of recovery"):
            self._must_be_over(probe.refresh_token, b"")

    def _must_be_over(self, refresh_token: str, token: bytes) -> None:
        """Present what the owner and the thief still hold of a session that was revoked."""
        since = self._requests.now() + self._bound
        self._requests.must_not_redeem(SURVIVED_THEFT, refresh_token, "the newest refresh token")
        if token:
            until = expiry_of(token) - self._zero
            self._requests.must_refuse(
                SURVIVED_THEFT, token, since, until, "an access token past the bound"
            )
