"""What a request costs the workers under test, measured before the load begins."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import psutil

from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.wire_responses import NoResponseError, ResponseReader
from linqi_storm.run.pacing import busy_rate
from linqi_storm.run.targets import sign_sliding
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.generator_plan import GeneratorPlan

__all__ = ["overload_of", "server_request_us"]

_TOKENS: Final = 400
_TURNS: Final = 2
"""Each token is new once and cached once: a storm asks for both."""
_PAST: Final = 1.0
"""Seconds since the first sign-in: sign-ins of the future are left out."""
_AIM: Final = 0.7
"""Share of the cores that the workers may use: near 1 each short burst makes a queue."""
_LONGEST_SECONDS: Final = 1.0
_TIMEOUT: Final = 5.0
_CHUNK: Final = 65_536


def server_request_us(plan: GeneratorPlan, scenario: Scenario, pids: Sequence[int]) -> float | None:
    """Return the CPU time of the workers `pids` for one request, in microseconds.

    The requests are those of live sessions, sent one after the other for at most a second. None if
    the storm has no key to sign their tokens with or no request that changes nothing, or if the
    workers do not answer.
    """
    requests = RequestBuilder(plan.url, plan.transport, plan.load.workload)
    number = requests.question
    if plan.token_source.login is not None or not pids or number is None:
        return None
    few = dataclasses.replace(scenario.load, sessions=_TOKENS, stages=())
    sample, now = type(scenario)(few, scenario.settings), time.time()
    run = f"{plan.expected.run}-pace"
    signed = asyncio.run(sign_sliding(plan.token_source, sample, now - _PAST, run))
    held = [one for one in signed if one.begins_at <= now]
    before = _used(pids)
    try:
        sent = _send([requests.page(one.token.encode("ascii"), number) for one in held], plan.url)
    except (OSError, NoResponseError):
        return None
    return (_used(pids) - before) * 1e6 / sent if sent else None


def overload_of(
    scenario: Scenario, request_us: float, workers: int, *, generators: int, cores: int = 0
) -> str:
    """Return why the workers cannot carry the requests of `scenario`; empty if they can.

    Args:
        scenario: The scenario, with its load.
        request_us: What a request costs a worker, in microseconds of CPU time.
        workers: Their number; each uses at most a core.
        generators: The processes of the load generator, which use the same cores.
        cores: Of the machine; by default what `os.cpu_count` says.

    """
    rate = busy_rate(scenario)
    needed = rate * request_us / 1e6
    room = _AIM * min(workers, max(1, (cores or os.cpu_count() or 1) - generators / 2))
    if needed <= room:
        return ""
    sessions = max(1, int(scenario.load.sessions * room / needed))
    return (
        f"the servers will probably be overloaded: a request costs them {request_us:.0f} us of CPU"
        f" time now, {rate:.0f} requests/s need {needed:.2f} cores, and more than {room:.2f} make"
        f" queues; use --sessions {sessions} or fewer, or longer gaps"
    )


def _send(requests: Sequence[bytes], url: str) -> int:
    """Send the requests in turn until the time is over; return how many were answered."""
    parts, ends, sent = urlsplit(url), time.monotonic() + _LONGEST_SECONDS, 0
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    with socket.create_connection(address, _TIMEOUT) as connection:
        for request in [*requests] * _TURNS:
            if time.monotonic() >= ends:
                break
            connection.sendall(request)
            reader = ResponseReader(is_head=False)
            while not reader.is_whole:
                data = connection.recv(_CHUNK)
                if not data:
                    raise NoResponseError("the connection was closed early")
                reader.feed(data)
            sent += 1
    return sent


def _used(pids: Sequence[int]) -> float:
    """Return the CPU seconds of the processes so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))
