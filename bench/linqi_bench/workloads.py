"""Suite: verification by algorithm, token size and load: one token, a Zipf crowd, all distinct."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Final

import pytest

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import summarize, time_in_turn
from linqi_bench.tokens import QUICK_CASES, Case
from linqi_bench.verification import garbage_like, refusing

SIZES: Final = {"400B": 400, "1KB": 1_000, "4KB": 4_000}
"""Token sizes in bytes; no RS256 token is as short as 400, since its signature alone has 342."""
_CROWD: Final = 10_000
_DRAWN: Final = 2_000
"""Requests in one timed block of a crowd."""
_ONE: Final = 16
_KINDS: Final = {"zipf08": "Zipf 0.8", "zipf10": "Zipf 1.0", "distinct": "each once"}
_SKEWS: Final = {"zipf08": 0.8, "zipf10": 1.0}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", QUICK_CASES)
def test_one_token(recorder: Recorder, name: str, size: str) -> None:
    """Sixteen tokens over and over: without a cache, and with all of them in it."""
    if recorder.is_quick and (name not in ("HS256", "ES256") or size == "4KB"):
        pytest.skip("a quick run leaves out sizes and algorithms")
    case = Case.of(name)
    tokens = case.tokens(_ONE, at_least_bytes=SIZES[size])
    blocks = [
        as_fresh_bytes(case.verifier(None).verify, tokens),
        as_fresh_bytes(case.verifier(recorder.settings.cache(lifetime=3600)).verify, tokens),
    ]
    taken = time_in_turn(blocks, _ONE, recorder.seconds / 2)
    for kind, times in zip(("cold", "hit"), taken, strict=True):
        _add(recorder, kind, name, size, times, {"token_bytes": len(tokens[0])})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", QUICK_CASES)
def test_crowd(recorder: Recorder, name: str, size: str) -> None:
    """10,000 tokens drawn by a Zipf law, each once, and garbage; the cache as in the settings."""
    if recorder.is_quick and (name, size) != ("HS256", "1KB"):
        pytest.skip("a quick run has one crowd")
    case = Case.of(name)
    tokens = case.tokens(_CROWD, at_least_bytes=SIZES[size])
    for kind, skew in _SKEWS.items():
        cache = recorder.settings.cache(lifetime=3600)
        draw = _zipf(len(tokens), skew)
        drawn = [tokens[index] for index in draw(_DRAWN * 4)]
        verify = case.verifier(cache).verify
        for token in tokens:  # a server that has been up for a while
            verify(token)
        before = cache.info()
        (times,) = time_in_turn([_in_turns(verify, drawn)], _DRAWN, recorder.seconds / 3)
        info = cache.info()
        hits, misses = info.hits - before.hits, info.misses - before.misses
        share = hits / (hits + misses)
        details = {"token_bytes": len(tokens[0]), "hit_share": round(share, 4)}
        _add(recorder, kind, name, size, times, details)
    _measure_distinct(recorder, case, tokens, size)
    garbage = garbage_like(tokens[0])
    block = refusing(case.verifier(recorder.settings.cache()).verify, garbage)
    (times,) = time_in_turn([block], len(garbage), recorder.seconds / 3)
    _add(recorder, "garbage", name, size, times, {"token_bytes": len(tokens[0])})


def _measure_distinct(recorder: Recorder, case: Case, tokens: list[bytes], size: str) -> None:
    """Each token once: a cache smaller than the crowd, asked in order, never has the next one."""
    cache = recorder.settings.cache(max_entries=len(tokens) // 10)
    verify = case.verifier(cache).verify
    block = _in_turns(verify, tokens)
    (times,) = time_in_turn([block], _DRAWN, recorder.seconds / 3)
    assert cache.info().hits == 0
    _add(recorder, "distinct", case.name, size, times, {"token_bytes": len(tokens[0])})


def as_fresh_bytes(verify: Callable[[bytes], object], tokens: list[bytes]) -> Callable[[], None]:
    """Cut each token out of a header's value, as a request does: no hash of it is known yet."""
    values = [b"Bearer " + token for token in tokens]

    def block() -> None:
        for value in values:
            verify(value[7:])

    return block


def _in_turns(verify: Callable[[bytes], object], tokens: list[bytes]) -> Callable[[], None]:
    """Return a block that continues where the last one stopped."""
    values = itertools.cycle([b"Bearer " + token for token in tokens])

    def block() -> None:
        for value in itertools.islice(values, _DRAWN):
            verify(value[7:])

    return block


def _zipf(count: int, skew: float) -> Callable[[int], list[int]]:
    """Return a function that draws indexes with weights ``1 / rank ** skew``, from a fixed seed."""
    source = random.Random(20)
    weights = list(itertools.accumulate((rank + 1) ** -skew for rank in range(count)))
    order = source.sample(range(count), count)
    return lambda drawn: source.choices(order, cum_weights=weights, k=drawn)


def _add(
    recorder: Recorder,
    kind: str,
    name: str,
    size: str,
    times: list[float],
    details: dict[str, float],
) -> None:
    recorder.add(
        Figure(
            id=f"verify.{kind}.{name}.{size}",
            name=f"{_KINDS.get(kind, kind)} {name}, {size}",
            unit="us",
            value=summarize(times),
            details=details,
        )
    )
