"""Workers that start and reconnect while many revocations are alive, in processes of their own.

A short form of ``make million-revocations``: the time and the memory are for fewer revocations, the
longest stall is the same for any number.
"""

import pytest

from million_revocations import KINDS, measure

COUNT = 60_000
STALL_MS = 20.0
SECONDS_PER_REVOCATION = 10 / 1_000_000
BYTES = 160
"""Of one revocation; half of it is what a worker's first reads take once, with any number."""


@pytest.mark.parametrize(
    ("store", "kind"),
    [("valkey", "session"), ("postgres", "session"), *[("sqlite", kind) for kind in KINDS]],
)
def test_k8_many_revocations_neither_stall_a_worker_nor_are_trusted_too_early(
    store: str, kind: str
) -> None:
    """K8: once it is trusted, it refuses what was revoked before it connected."""
    for _ in range(3):
        found = measure(store, kind, COUNT)
        assert found["start"]["is_known"]
        assert found["again"]["is_known"]
        # A collection of the whole application takes the longer the larger that is.
        assert found["start"]["full_collections"] == 0
        assert found["rss_mb"] * 1e6 < BYTES * COUNT
        stall = max(found[part]["stall_ms"] for part in ("start", "again", "later"))
        seconds = max(found[part]["cpu_seconds"] for part in ("start", "again"))
        if stall < STALL_MS and seconds < SECONDS_PER_REVOCATION * COUNT:
            return
    pytest.fail(f"three times: {stall:.1f} ms, {seconds:.2f} s")
