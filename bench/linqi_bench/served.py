"""Suite: what a request costs end to end, in CPU time of the server's own process."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import Any, Final

import pytest

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.server_process import SERVERS, LoadProcess, cpu_microseconds, is_installed, served
from linqi_bench.timing import differences, summarize
from linqi_bench.tokens import Case

_REQUESTS, _QUICK_REQUESTS = 1_500, 600
"""Requests in one turn: about 60 ms of a server's CPU time, or 25 ms."""
_DISTINCT: Final = 10_000
_KNOWN: Final = 100
_STARTS, _ROUNDS = 5, 4
"""How often the servers are started anew, and for how many rounds each: the memory layout of a
process changes the cost of a request by some microseconds for as long as it lives. At most 9
rounds, since hypercorn closes each of 16 connections after 1,000 requests."""
_QUICK_STARTS, _QUICK_ROUNDS = 1, 8
_QUICK_SERVER: Final = "uvicorn"


@pytest.mark.parametrize("server", SERVERS)
def test_served_hit(recorder: Recorder, server: str) -> None:
    """Cached tokens against the bare app; in a full run also an app that only takes the SHA-256."""
    case, tokens = _crowd("HS256", _KNOWN)
    apps = [{}, _guarded(case, _KNOWN)]
    if not recorder.is_quick:
        apps.append({"app": "hashing"})
    bare, ours, *hashing = _served(recorder, server, tokens, apps)
    details = {"token_bytes": float(len(tokens[0]))}
    if hashing:
        details["over_with_sha256_alone"] = differences(hashing[0], bare).median
    recorder.add(
        Figure(
            id=f"served.{server}.hit.HS256",
            name=f"{server}: cached token, HS256",
            unit="us",
            value=summarize(ours),
            over=differences(ours, bare),
            raw=summarize(bare).median,
            raw_is="the bare app",
            details=details,
        )
    )


@pytest.mark.parametrize("server", SERVERS)
def test_served_distinct(recorder: Recorder, server: str) -> None:
    """10,000 tokens that no cache holds, against an app that only checks a prepared signature.

    A full run also measures what that check costs over the bare app.
    """
    case, tokens = _crowd("RS256", _DISTINCT)
    apps = [{"app": "checking", "name": case.name}, _guarded(case, _DISTINCT // 10)]
    if not recorder.is_quick:
        apps.append({})
    checked, ours, *bare = _served(recorder, server, tokens, apps)
    details = {"token_bytes": float(len(tokens[0]))}
    if bare:
        details["over_with_check_alone"] = differences(checked, bare[0]).median
    recorder.add(
        Figure(
            id=f"served.{server}.distinct.RS256",
            name=f"{server}: 10,000 distinct tokens, RS256",
            unit="us",
            value=summarize(ours),
            over=differences(ours, checked),
            raw=summarize(checked).median,
            raw_is="the bare app with a prepared check of a signature in it",
            details=details,
        )
    )


@cache
def _crowd(name: str, count: int) -> tuple[Case, list[bytes]]:
    """Sign once for all servers: 10,000 times RS256 takes 7 s."""
    case = Case.of(name)
    return case, case.tokens(count)


def _guarded(case: Case, entries: int) -> dict[str, Any]:
    key = case.signer.keys.signing_key().private_jwk()
    return {"app": "guarded", "key": key, "cache_entries": entries}


def _served(
    recorder: Recorder, server: str, tokens: list[bytes], apps: list[dict[str, Any]]
) -> list[list[float]]:
    """Start a server for each of `apps`, and load them in turn."""
    if recorder.is_quick and server != _QUICK_SERVER:
        pytest.skip(f"a quick run measures {_QUICK_SERVER} only")
    if not is_installed(server):
        pytest.skip(f"{server} is not installed")
    quick = (_QUICK_STARTS, _QUICK_ROUNDS, _QUICK_REQUESTS)
    starts, rounds, requests = quick if recorder.is_quick else (_STARTS, _ROUNDS, _REQUESTS)
    taken: list[list[float]] = [[] for _ in apps]
    with ExitStack() as stack:
        loads = [stack.enter_context(LoadProcess(tokens)) for _ in apps]
        for _ in range(starts):
            with ExitStack() as started:
                ports = [started.enter_context(served(server, app)) for app in apps]
                turns = [*zip(loads, ports, taken, strict=True)]
                _in_turn(turns, rounds, requests)
    return taken


def _in_turn(turns: list[tuple[LoadProcess, int, list[float]]], rounds: int, requests: int) -> None:
    """Load one server after the other; append CPU microseconds per request, one value a round."""
    for load, port, _ in turns:
        load.send(port, requests)
    for number in range(rounds):
        for load, port, taken in turns if number % 2 else reversed(turns):
            before = cpu_microseconds(port)
            load.send(port, requests)
            taken.append((cpu_microseconds(port) - before) / requests)
