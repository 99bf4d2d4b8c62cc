"""Mutants of cost: memory, threads, files and time that grow or block."""

from __future__ import annotations

import math
import os
import threading
import time

from mutants.patching import Patch
from mutants.registry import mutant
from mutants.storms import COLD, GARBAGE, SLIDING

_ISSUE = "linqi.sessions.sliding:SlidingRenewal._issue"


@mutant(
    COLD,
    survives="a crowd that overfills the cache makes the generator late on two cores: a void run",
)
def cache_evicts_nothing(patch: Patch) -> None:
    """The cache of verified tokens has no bound: memory grows with every user."""

    @patch("linqi.jose.cache:VerifiedCache.put")
    def put(original, self, verified, keys, until=math.inf):
        self.max_entries = self.max_bytes = 2**60
        original(self, verified, keys, until)


@mutant(
    SLIDING,
    survives="in some seconds it keeps less than the 4 MB by which any process may grow",
)
def each_request_leaks_4_kilobytes(patch: Patch) -> None:
    """Every request leaves 4 kB behind."""
    kept = []

    @patch("linqi.asgi.middleware:JWTMiddleware._respond")
    def _respond(original, self, scope, receive, send, verified, transport):
        kept.append(os.urandom(4_000))
        return original(self, scope, receive, send, verified, transport)


@mutant(SLIDING, killed_by="threads kept per renewal")
def each_renewal_leaks_a_thread(patch: Patch) -> None:
    """Every signature starts a thread that never ends."""

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return original(self, claims, now)


@mutant(SLIDING, killed_by="files kept per renewal")
def each_renewal_leaks_a_file(patch: Patch) -> None:
    """Every signature leaves a file open."""
    kept = []

    @patch(_ISSUE)
    def _issue(original, self, claims, now):
        kept.append(open(os.devnull, "rb"))  # noqa: SIM115 - it is the leak
        return original(self, claims, now)


@mutant(GARBAGE, killed_by="event loops blocked, per cent of the time")
def garbage_costs_10_milliseconds(patch: Patch) -> None:
    """Each token that is refused blocks the event loop for 10 ms."""

    @patch("linqi.jose.verifier:Verifier._verify_cold", is_counted=False)
    def _verify_cold(original, self, data, digest=b"", *, is_signed=False, by=None):
        try:
            return original(self, data, digest, is_signed=is_signed, by=by)
        except Exception:
            patch.reach()
            time.sleep(0.01)
            raise
