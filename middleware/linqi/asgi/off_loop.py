"""Verification whose signature check runs in threads and does not block the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from linqi._single_flight import SingleFlight
from linqi.errors import ConfigurationError, Unavailable, UnknownKey
from linqi.jose.key import ALGORITHMS
from linqi.jose.verified import Verified
from linqi.jose.verifier import Verifier

__all__ = ["OffLoop"]


class OffLoop:
    """Checks the signatures of `algorithms` in at most `threads` threads, each token once.

    Requests that bring one token at the same time share one check. Hits, tokens of other
    algorithms and everything but the signature stay on the event loop.
    """

    def __init__(
        self, verifier: Verifier, algorithms: Sequence[str], threads: int | None = None
    ) -> None:
        faults = []
        if isinstance(algorithms, str) or not set(algorithms) <= set(ALGORITHMS):
            faults.append(
                f"verify_off_loop is {algorithms!r}, expected a list of algorithms such as"
                " ['ES256', 'EdDSA']"
            )
        if threads is not None and threads < 1:
            faults.append(f"threads is {threads}, expected at least 1")
        if faults:
            raise ConfigurationError(faults)
        self._verifier = verifier
        self._algorithms = frozenset(algorithms)
        self._most_threads = threads or os.cpu_count() or 1
        self._threads: ThreadPoolExecutor | None = None
        self._flight: SingleFlight[bytes, bool] = SingleFlight()

    async def verify(self, token: bytes) -> Verified:
        """Return the verified value of `token`, or raise as `Verifier.verify` does.

        A key that may be fetched is waited for, once.
        """
        try:
            return await self._verify(token)
        except (UnknownKey, Unavailable):
            if not await self._verifier.fetch_key(token):
                raise
        return await self._verify(token)

    async def _verify(self, token: bytes) -> Verified:
        if self._verifier.algorithm_of(token) not in self._algorithms:
            return self._verifier.verify(token)
        verified = self._verifier.cached(token)
        if verified is not None:
            return verified
        proof = self._verifier.signature_check(token)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._most_threads, "linqi-verify")
        loop, threads = asyncio.get_running_loop(), self._threads
        holds = await self._flight(proof.digest, lambda: loop.run_in_executor(threads, proof.holds))
        # The second caller that shared the check finds the token in the cache.
        return self._verifier.cached(token) or self._verifier.verify_checked(proof, holds=holds)

    async def start(self) -> None:
        """Do nothing: a thread starts with the first check."""

    async def close(self) -> None:
        """Let the threads end after the checks that run now."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None
