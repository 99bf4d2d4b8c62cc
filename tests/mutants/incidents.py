"""Mutants of what incidents had in common: many requests at once, of which each does the work."""

from __future__ import annotations

import dataclasses

from linqi import Threshold
from linqi.sessions.refreshing import RefreshRefused
from linqi_storm.apps import embedded
from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import COLD_START, DEAD_TOKEN, SSR, SWITCH_ON, THROTTLED


@mutant(SSR, killed_by="renewals with two different successors")
def renewal_is_written_by_hand(patch: Patch) -> None:
    """The application has a renewal of its own: each request near expiry signs a successor."""

    @patch("linqi_storm.apps.embedded:_sliding")
    def _sliding(original, spec, sampler):
        return embedded._handwritten(spec, sampler)


@mutant(DEAD_TOKEN, killed_by="store calls per refresh")
def refused_refreshes_are_tried_five_times(patch: Patch) -> None:
    """A refresh token that the store refuses is presented to it four more times."""

    @patch("linqi.sessions.refreshing:Refreshing._refresh", is_counted=False)
    async def _refresh(original, self, refresh_token, scopes):
        for _ in range(4):
            try:
                return await original(self, refresh_token, scopes)
            except RefreshRefused:
                patch.reach()
        return await original(self, refresh_token, scopes)


@mutant(SWITCH_ON, killed_by="storm factor above chance")
def workers_renew_by_the_plain_threshold(patch: Patch) -> None:
    """Workers renew a buffer before expiry, and all tokens of one instant expire together."""

    @patch("linqi_storm.apps.embedded:renewal_settings")
    def renewal_settings(original, spec):
        return dataclasses.replace(original(spec), policy=Threshold())


@mutant(THROTTLED, killed_by="429 without Retry-After")
def limit_does_not_say_how_long(patch: Patch) -> None:
    """The 429 to a refresh has no ``Retry-After``."""

    @patch("linqi_storm.apps.refresh_limit:RefreshLimit.__call__", is_counted=False)
    async def __call__(original, self, scope, receive, send):  # noqa: N807
        async def send_without(message):
            if message.get("status") == 429:
                patch.reach()
                headers = [pair for pair in message["headers"] if pair[0] != b"retry-after"]
                message = {**message, "headers": headers}
            await send(message)

        await original(self, scope, receive, send_without)


@mutant(COLD_START, killed_by="requests to the issuer")
def cold_workers_fetch_for_each_request(patch: Patch) -> None:
    """A worker starts without keys, and each request that waits for them fetches them itself."""

    @patch("linqi.jwks.remote:RemoteKeys.start", is_counted=False)
    async def start(original, self):
        self._starts.acquire()

    @patch("linqi.jwks.remote:RemoteKeys.fetch_for", is_counted=False)
    async def fetch_for(original, self, alg, kid):
        if self._held is not None:
            return await original(self, alg, kid)
        patch.reach()
        await self._attempt(False)
        return True
