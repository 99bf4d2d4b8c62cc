"""Fills a cache in this process and prints as JSON by how much the process grew."""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time

from linqi import VerifiedCache, Verifier
from linqi_bench.tokens import Case
from linqi_report.process_memory import resident_bytes

__all__ = ["grow"]

_AT_ONCE = 1_000
_LEAST = 50_000
_PASSES = 5


def grow(entries: int, token_bytes: int = 0, *, reads_names: bool = False) -> dict[str, float]:
    """Cache `entries` distinct tokens, and return the growth with the cache's own count.

    Small caches are filled many times over, since a process grows in steps. `token_bytes` pads the
    tokens; `reads_names` asks each for subject, token id and session id, as revocation does.
    """
    case = Case.of("HS256")
    _fill(case.verifier(VerifiedCache()), case, _AT_ONCE, token_bytes)  # nothing is loaded later
    copies = max(1, _LEAST // entries)
    caches = [
        VerifiedCache(max_entries=entries, max_bytes=2**33, lifetime=3600) for _ in range(copies)
    ]
    verifiers = [case.verifier(cache) for cache in caches]
    gc.collect()
    before = resident_bytes()
    for verifier in verifiers:
        sample = _fill(verifier, case, entries, token_bytes, reads_names=reads_names)
    gc.collect()
    after = resident_bytes()
    return {
        "entries": entries,
        "grown_bytes": (after - before) / copies,
        "estimated_bytes": sum(cache.info().bytes for cache in caches) / copies,
        "token_bytes": len(sample[0]),
        "hit_us": _hit_microseconds(verifiers[-1], sample),
    }


def _fill(
    verifier: Verifier, case: Case, entries: int, token_bytes: int, *, reads_names: bool = False
) -> list[bytes]:
    """Verify distinct tokens, and return a thousand of them that lie far apart."""
    made, kept = 0, []
    while made < entries:
        tokens = case.tokens(min(_AT_ONCE, entries - made), at_least_bytes=token_bytes)
        for token in tokens:
            verified = verifier.verify(token)
            if reads_names:
                _ = (verified.subject, verified.token_id, verified.session_id)
        kept += tokens[:: max(1, entries // _AT_ONCE)]
        made += len(tokens)
    return kept


def _hit_microseconds(verifier: Verifier, tokens: list[bytes]) -> float:
    """Time hits of tokens that lie far apart in the table, as the median of several passes."""
    taken = []
    for _ in range(_PASSES):
        start = time.perf_counter()
        for token in tokens:
            verifier.verify(token)
        taken.append((time.perf_counter() - start) * 1e6 / len(tokens))
    return statistics.median(taken)


if __name__ == "__main__":
    result = grow(
        int(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 0,
        reads_names="read" in sys.argv[3:],
    )
    sys.stdout.write(json.dumps(result) + "\n")
