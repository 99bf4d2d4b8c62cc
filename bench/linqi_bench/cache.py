"""Suite: the cost of a cached token, and its memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from linqi import KeySet, Verified, VerifiedCache
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import TimedBlocks, summarize, time_in_turn
from linqi_bench.tokens import Case
from linqi_bench.workloads import as_fresh_bytes

_TOKEN_BYTES: Final = 800
_TOKENS: Final = 100
_FULL: Final = 2_000
_NEEDED_BYTES: Final = 3 * 2**30
"""Free memory without which a million tokens are left out."""


def test_hit(recorder: Recorder) -> None:
    """A hundred 800-byte tokens in turn, all in the cache, each time as new bytes."""
    case = Case.of("HS256")
    tokens = case.tokens(_TOKENS, at_least_bytes=_TOKEN_BYTES)
    cache = recorder.settings.cache(lifetime=3600)
    verify = as_fresh_bytes(case.verifier(cache).verify, tokens)
    verify()

    def digest() -> None:
        for token in tokens:
            hashlib.sha256(token).digest()

    ours, raw = time_in_turn([verify, digest], _TOKENS, recorder.seconds)
    (pyjwt,) = time_in_turn([case.pyjwt(tokens)], _TOKENS, recorder.seconds / 4)
    assert len(cache) == _TOKENS
    recorder.add(
        Figure(
            id="cache.hit.800B",
            name="hit, 800-byte token",
            unit="us",
            value=summarize(ours),
            raw=summarize(raw).median,
            raw_is="SHA-256 of the token",
            pyjwt=summarize(pyjwt).median,
            details={"token_bytes": len(tokens[0])},
        )
    )


def test_table(recorder: Recorder) -> None:
    """The table by itself: look-ups, entries into a full one, and entries found expired.

    Each table has values of its own: one in two tables would have the deadline of the later.
    """
    keys, entries = _entries(_FULL)
    warm, full = VerifiedCache(max_entries=_FULL), VerifiedCache(max_entries=_FULL // 2)
    now = [0.0]
    churning = VerifiedCache(max_entries=_FULL, lifetime=60, monotonic=lambda: now[0])
    in_full, in_churning = ([replace(verified) for verified in entries] for _ in range(2))
    for verified, other in zip(entries, in_full, strict=True):
        warm.put(verified, keys)
        full.put(other, keys)

    def get() -> None:
        for verified in entries:
            warm.get(verified.digest)

    def put() -> None:
        for verified in in_full:
            full.put(verified, keys)

    def churn() -> None:
        now[0] += 60
        for verified in in_churning:
            assert churning.get(verified.digest) is None
            churning.put(verified, keys)

    blocks = {
        "cache.get": ("look-up in the table", get),
        "cache.put_at_capacity": ("entry into a full table", put),
        "cache.churn": ("expired entry found, and made anew", churn),
    }
    taken = time_in_turn([block for _, block in blocks.values()], _FULL, recorder.seconds)
    for (figure_id, (name, _)), times in zip(blocks.items(), taken, strict=True):
        recorder.add(Figure(id=figure_id, name=name, unit="us", value=summarize(times)))
    assert full.info().entries == _FULL // 2


@pytest.mark.parametrize("entries", [1_000, 10_000, 100_000, 1_000_000])
def test_memory_of_cached_tokens(recorder: Recorder, entries: int) -> None:
    """How much a fresh process grows while it fills its cache, and the cost of a hit then."""
    if entries > 100_000 and (recorder.is_quick or _free_bytes() < _NEEDED_BYTES):
        pytest.skip("a million entries take a full run and 3 GiB")
    grown = _footprint(entries)
    recorder.add(
        Figure(
            id=f"cache.memory.{entries}",
            name=f"memory of {entries:,} cached tokens",
            unit="MB",
            value=TimedBlocks.single(grown["grown_bytes"] / 1e6),
            details=grown,
        )
    )
    recorder.add(
        Figure(
            id=f"cache.bytes_per_entry.{entries}",
            name=f"one of {entries:,} cached tokens",
            unit="bytes",
            value=TimedBlocks.single(grown["grown_bytes"] / entries),
            raw=grown["estimated_bytes"] / entries,
            raw_is="the cache's own count, info().bytes",
            details=grown,
        )
    )
    recorder.add(
        Figure(
            id=f"cache.hit_among.{entries}",
            name=f"hit among {entries:,} tokens, each in turn",
            unit="us",
            value=TimedBlocks.single(grown["hit_us"]),
            details={"token_bytes": grown["token_bytes"]},
        )
    )


def test_memory_of_long_tokens(recorder: Recorder) -> None:
    """The same for 800-byte tokens, and after all names in them were read."""
    if recorder.is_quick:
        pytest.skip("a quick run measures one size of tokens")
    for figure_id, name, options in (
        ("cache.memory_800B.100000", "memory of 100,000 cached tokens of 800 bytes", ["800"]),
        ("cache.memory_read.100000", "memory of 100,000 cached tokens, names read", ["0", "read"]),
    ):
        grown = _footprint(100_000, *options)
        recorder.add(
            Figure(
                id=figure_id,
                name=name,
                unit="MB",
                value=TimedBlocks.single(grown["grown_bytes"] / 1e6),
                details=grown,
            )
        )


def _footprint(entries: int, *options: str) -> dict[str, float]:
    command = [sys.executable, "-m", "linqi_bench.footprint", str(entries), *options]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    grown: dict[str, float] = json.loads(ran.stdout)
    return grown


def _entries(count: int) -> tuple[KeySet, list[Verified]]:
    case = Case.of("HS256")
    verify: Callable[[bytes], Verified] = case.verifier(None).verify
    return case.signer.keys, [verify(token) for token in case.tokens(count)]


def _free_bytes() -> int:
    info = Path("/proc/meminfo")
    if not info.exists():
        return 0
    for line in info.read_text("ascii").splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 0
