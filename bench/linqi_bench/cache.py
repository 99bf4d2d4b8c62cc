"""Suite: what a token costs that was verified a moment ago, and how much memory that takes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from linqi import VerifiedCache
from linqi_bench import budgets
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import Sample, summarize, time_in_turn
from linqi_bench.tokens import Case

_TOKEN_BYTES: Final = 800
_TOKENS: Final = 100
_ENTRIES: Final = 100_000


def test_hit(recorder: Recorder, benchmark: Any) -> None:
    """A hundred 800-byte tokens in turn, all in the cache, each time as new bytes."""
    case = Case.of("HS256")
    tokens = case.tokens(_TOKENS, at_least_bytes=_TOKEN_BYTES)
    cache = VerifiedCache(lifetime=3600)
    verify = _afresh(case.verifier(cache).verify, tokens)
    verify()

    def digest() -> None:
        for token in tokens:
            hashlib.sha256(token).digest()

    sample = run_block(benchmark, verify, _TOKENS)
    others = [digest, case.pyjwt(tokens)]
    raw, pyjwt = time_in_turn(others, _TOKENS, recorder.seconds / 4)
    assert cache.info().misses == _TOKENS
    recorder.add(
        Figure(
            group="cache",
            name="hit, 800-byte token",
            unit="us",
            sample=sample,
            budget=budgets.HIT,
            total=sample.median,
            raw=summarize(raw).median,
            raw_is="SHA-256 of the token",
            pyjwt=summarize(pyjwt).median,
            details={"token_bytes": len(tokens[0])},
        )
    )


def test_memory_of_cached_tokens(recorder: Recorder) -> None:
    """How much a fresh process grows while it fills its cache with distinct tokens."""
    command = [sys.executable, "-m", "linqi_bench.footprint", str(_ENTRIES)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    grown = json.loads(ran.stdout)
    measured = grown["grown_bytes"] / grown["entries"]
    estimated = grown["estimated_bytes"] / grown["entries"]
    recorder.add(
        Figure(
            group="cache",
            name="memory of 100,000 cached tokens",
            unit="MB",
            sample=_single(grown["grown_bytes"] / 1e6),
            budget=budgets.CACHED_TOKENS_MEGABYTES,
            total=grown["grown_bytes"] / 1e6,
            details=grown,
        )
    )
    recorder.add(
        Figure(
            group="cache",
            name="memory of one cached token",
            unit="bytes",
            sample=_single(measured),
            total=measured,
            raw=estimated,
            raw_is="the cache's own count, info().bytes",
            details=grown,
        )
    )


def _afresh(verify: Callable[[bytes], object], tokens: list[bytes]) -> Callable[[], None]:
    """Cut each token out of a header's value, as a request does: no hash of it is known yet."""
    values = [b"Bearer " + token for token in tokens]

    def block() -> None:
        for value in values:
            verify(value[7:])

    return block


def _single(value: float) -> Sample:
    return Sample(median=value, low=value, high=value, spread=0.0, rounds=1)
