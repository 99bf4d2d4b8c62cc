"""Fills a cache in this process and prints as JSON by how much the process grew."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

from linqi import VerifiedCache, Verifier
from linqi_bench.tokens import Case, typical_claims


def resident_bytes() -> int:
    """Give the resident size of this process; on other systems than Linux the largest so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def grow(entries: int) -> dict[str, int]:
    """Cache `entries` distinct tokens; give the growth and what the cache thinks it holds."""
    case = Case.of("HS256")
    _fill(case, case.verifier(VerifiedCache()), 1000)  # so that nothing is loaded later
    cache = VerifiedCache(max_entries=entries, max_bytes=2**31, lifetime=3600)
    verifier = case.verifier(cache)
    gc.collect()
    before = resident_bytes()
    token_bytes = _fill(case, verifier, entries)
    gc.collect()
    after = resident_bytes()
    info = cache.info()
    return {
        "entries": info.entries,
        "grown_bytes": after - before,
        "estimated_bytes": info.bytes,
        "token_bytes": token_bytes,
    }


def _fill(case: Case, verifier: Verifier, entries: int) -> int:
    size = 0
    for number in range(entries):
        token = case.signer.sign(typical_claims(number)).encode()
        verifier.verify(token)
        size = len(token)
    return size


if __name__ == "__main__":
    sys.stdout.write(json.dumps(grow(int(sys.argv[1]))) + "\n")
