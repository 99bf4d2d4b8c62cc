"""Mutants of remote key sets: how an outside issuer is asked for its keys."""

from __future__ import annotations

import math

from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import ISSUER_OUTAGE, KID_FLOOD, ROTATION

_NEXT = "linqi.jwks.freshness:Schedule.next_attempt_at"


@mutant(KID_FLOOD, killed_by="requests to the issuer")
def unknown_key_ids_cause_a_fetch_each(patch: Patch) -> None:
    """Every token with an unknown key id fetches the key set: there is no cooldown."""

    @patch("linqi.jwks.remote:RemoteKeys.fetch_for")
    async def fetch_for(original, self, alg, kid):
        self._keep_here()
        await self._fly(is_forced=True)
        return True


@mutant(ROTATION, killed_by="requests to the issuer")
def keys_are_fetched_twice_a_second(patch: Patch) -> None:
    """Every worker fetches the key set every 0.5 s."""

    @patch(_NEXT)
    def next_attempt_at(original, self):
        return original(self) if self.fetched_at is None else self.fetched_at + 0.5


@mutant(ISSUER_OUTAGE, killed_by="5xx other than an intended 503")
def failed_fetch_forgets_the_keys(patch: Patch) -> None:
    """The key set is fetched every second, and a failed fetch drops the known keys."""

    @patch(_NEXT)
    def next_attempt_at(original, self):
        return original(self) if self.fetched_at is None else self.fetched_at + 1

    @patch("linqi.jwks.remote:RemoteKeys._fail", is_counted=False)
    def _fail(original, self, started, error):
        patch.reach()
        original(self, started, error)
        self._held, self.trusted_until = None, -math.inf


@mutant(ROTATION, killed_by="forced logouts of honest users")
def new_keys_are_not_fetched(patch: Patch) -> None:
    """A key that the issuer has just published is unknown until the next scheduled fetch."""

    @patch("linqi.jwks.remote:RemoteKeys.fetch_for")
    async def fetch_for(original, self, alg, kid):
        return False
