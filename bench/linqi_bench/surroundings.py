"""Suite: what a call takes after other work, as in a server, and not in a loop of its own."""

from __future__ import annotations

import hashlib
import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from linqi import VerifiedCache
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import differences, summarize, time_in_turn
from linqi_bench.tokens import Block, Case

_CALLS: Final = 100
_COPIED: Final = 2**20
"""Bytes: twice what the second cache of most processors holds."""
_WORKS: Final = {
    "nothing": "nothing",
    "socket": "a request sent and received",
    "copy": "a copy of 1 MB",
    "both": "a request sent and received, and a copy of 1 MB",
}
_CALLED: Final = {
    "hit": "cached token",
    "cold": "cold HS256",
    "raw": "raw HS256 check",
    "sha256": "SHA-256 of the token",
}


@pytest.mark.parametrize("what", _CALLED)
def test_after_other_work(recorder: Recorder, what: str) -> None:
    """One call after each kind of work, against that work alone."""
    if recorder.is_quick:
        pytest.skip("a quick run leaves out what surroundings cost")
    case = Case.of("HS256")
    tokens = case.tokens(_CALLS)
    call = _call(case, tokens, what)
    with _loopback(b"GET / HTTP/1.1\r\nauthorization: Bearer " + tokens[0]) as send_and_receive:
        copy = _copying()

        def both() -> None:
            send_and_receive()
            copy()

        works = {"nothing": _nothing, "socket": send_and_receive, "copy": copy, "both": both}
        for name, work in works.items():
            blocks = [_block(work, call), _block(work, _nothing)]
            ours, alone = time_in_turn(blocks, _CALLS, recorder.seconds / 4)
            recorder.add(
                Figure(
                    id=f"surroundings.{what}.{name}",
                    name=f"{_CALLED[what]}, after {_WORKS[name]}",
                    unit="us",
                    value=summarize(ours),
                    over=differences(ours, alone),
                    raw=summarize(alone).median,
                    raw_is="that work alone",
                    details={"token_bytes": len(tokens[0])},
                )
            )


def _call(case: Case, tokens: list[bytes], what: str) -> Callable[[], object]:
    """Return a function that makes one call, with the next of `tokens` each time."""
    following = itertools.cycle(tokens)
    if what == "raw":
        checks = itertools.cycle([case.raw([token]) for token in tokens])
        return lambda: next(checks)()
    if what == "sha256":
        return lambda: hashlib.sha256(next(following)).digest()
    verify = case.verifier(VerifiedCache(lifetime=3600) if what == "hit" else None).verify
    return lambda: verify(next(following))


def _block(work: Callable[[], object], call: Callable[[], object]) -> Block:
    def block() -> None:
        for _ in range(_CALLS):
            work()
            call()

    return block


def _copying() -> Callable[[], None]:
    source, target = bytearray(_COPIED), bytearray(_COPIED)

    def copy() -> None:
        target[:] = source

    return copy


@contextmanager
def _loopback(request: bytes) -> Iterator[Callable[[], None]]:
    """Yield a function that sends `request` to this process and receives it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sending = socket.create_connection(listening.getsockname(), timeout=5)
        receiving, _ = listening.accept()
    with sending, receiving:
        sending.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send_and_receive() -> None:
            sending.sendall(request)
            receiving.recv(65_536)

        yield send_and_receive


def _nothing() -> None:
    return
