"""Suite: what a request costs end to end, in CPU time of the server's own process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final

import pytest

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.serving import SERVERS, LoadProcess, at_hand, cpu_microseconds, served
from linqi_bench.timing import differences, summarize, time_in_turn
from linqi_bench.tokens import Case

_REQUESTS: Final = 1_500
"""Requests in one turn: about 60 ms of a server."""
_DISTINCT: Final = 10_000
_KNOWN: Final = 100
_QUICK_ROUNDS: Final = 8
_ROUNDS: Final = 30


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("way", "name"), [("hit", "HS256"), ("distinct", "RS256")])
def test_served(recorder: Recorder, server: str, way: str, name: str) -> None:
    """The bare app and the wrapped one, in turn; cached tokens, or 10,000 that no cache holds."""
    if not at_hand(server):
        pytest.skip(f"{server} is not installed")
    case = Case.of(name)
    tokens = case.tokens(_DISTINCT if way == "distinct" else _KNOWN)
    key = case.signer.keys.signing_key().private_jwk()
    wish = {"key": key, "cache_entries": len(tokens) // 10 if way == "distinct" else _KNOWN}
    rounds = _QUICK_ROUNDS if recorder.is_quick else _ROUNDS
    with ExitStack() as stack:
        ports = [stack.enter_context(served(server, what)) for what in ({}, wish)]
        loads = [stack.enter_context(LoadProcess(tokens)) for _ in ports]
        bare, wrapped = _in_turn(loads, ports, rounds)
    raw, raw_is, details = bare, "the bare app", {"token_bytes": float(len(tokens[0]))}
    if way == "distinct":
        (checks,) = time_in_turn([case.raw(tokens[:64])], 64, 0.2)
        check = summarize(checks).median
        raw = [value + check for value in bare]
        raw_is = "the bare app, and the check of the signature alone"
        details["raw_alone"] = check
    recorder.add(
        Figure(
            id=f"served.{server}.{way}.{name}",
            name=f"{server}: {'10,000 distinct tokens' if way == 'distinct' else 'cached token'}"
            f", {name}",
            unit="us",
            value=summarize(wrapped),
            over=differences(wrapped, raw),
            raw=summarize(raw).median,
            raw_is=raw_is,
            details=details | {"bare": summarize(bare).median},
        )
    )


def _in_turn(loads: list[LoadProcess], ports: list[int], rounds: int) -> list[list[float]]:
    """Load one server after the other; give CPU microseconds per request, a value a round."""
    taken: list[list[float]] = [[] for _ in ports]
    turns: list[tuple[Any, ...]] = [*zip(loads, ports, taken, strict=True)]
    for load, port, _ in turns:
        load.send(port, _REQUESTS)
    for number in range(rounds):
        for load, port, values in turns if number % 2 else reversed(turns):
            before = cpu_microseconds(port)
            load.send(port, _REQUESTS)
            values.append((cpu_microseconds(port) - before) / _REQUESTS)
    return taken
