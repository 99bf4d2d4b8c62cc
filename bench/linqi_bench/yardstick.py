"""A fixed piece of standard-library work, timed to learn how fast the machine runs Python."""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Final

__all__ = ["read_yardstick"]

_GOES: Final = 3
_PAUSE_SECONDS: Final = 0.01
_ROUNDS: Final = 15
_CALLS: Final = 20
_CLAIMS: Final = {
    "iss": "https://accounts.shop.example",
    "aud": "https://api.shop.example",
    "sub": "user-00000001",
    "exp": 1_795_717_888,
    "iat": 1_795_631_888,
    "scope": "read write",
}
_TEXT: Final = json.dumps(_CLAIMS)


def read_yardstick(
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> float:
    """Return the microseconds that the work takes: JSON, a digest, calls and small objects.

    The result is the median of three readings of 1.5 ms, 10 ms apart. The load of other processes
    counts, as it does in the figures, but one burst of a few milliseconds does not.
    """
    found = []
    for go in range(_GOES):
        if go:
            sleep(_PAUSE_SECONDS)
        found.append(_go(clock))
    return statistics.median(found)


def _go(clock: Callable[[], int]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        start = clock()
        for _ in range(_CALLS):
            _work()
        taken.append(clock() - start)
    return statistics.median(taken) / _CALLS / 1000


def _work() -> bytes:
    claims = json.loads(_TEXT)
    parts = [f"{name}={value}".encode() for name, value in claims.items()]
    return hashlib.sha256(b".".join(parts)).digest()
