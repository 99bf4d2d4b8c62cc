"""Suite: p99 of requests with new tokens, with signatures checked on the loop or in threads."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Final

import pytest

from linqi import JWTMiddleware
from linqi_bench.figures import Figure
from linqi_bench.middleware import bare_app, request_of, send_nowhere, take_nothing
from linqi_bench.pacer import DUE
from linqi_bench.recorder import Recorder
from linqi_bench.timing import TimedBlocks
from linqi_bench.tokens import Case

_TOKENS: Final = 1_000
_SHARES: Final = (0.2, 0.4, 0.6, 0.8)
"""The rates, as shares of what one core can verify on the loop."""
_REPEATS: Final = 3
_WAYS: Final = {"loop": "on the loop", "threads": "in threads"}


@pytest.mark.parametrize("name", ["ES256", "Ed25519"])
def test_off_loop(recorder: Recorder, name: str) -> None:
    """Requests with new tokens at random instants; the 99th percentile of their times."""
    if recorder.is_quick:
        pytest.skip("a quick run leaves out verification in threads")
    case = Case.of(name)
    tokens = itertools.cycle(case.tokens(_TOKENS))
    alg = "EdDSA" if name.startswith("Ed") else name
    with asyncio.Runner() as runner:
        capacity = 1 / runner.run(_seconds_of_one(case, tokens))
        for share in _SHARES:
            rate = capacity * share
            waits: dict[str, list[float]] = {"loop": [], "threads": []}
            for _, way in itertools.product(range(_REPEATS), waits):
                options = {"verify_off_loop": [alg]} if way == "threads" else {}
                app = JWTMiddleware(bare_app, case.verifier(recorder.settings.cache()), **options)  # type: ignore[arg-type]
                drawn = [next(tokens) for _ in range(int(rate * recorder.seconds / 2))]
                waits[way].append(runner.run(_slowest(app, drawn, rate)))
            _add(recorder, name, share, rate, waits)


def _add(
    recorder: Recorder, name: str, share: float, rate: float, waits: dict[str, list[float]]
) -> None:
    for way, found in waits.items():
        median = statistics.median(found)
        sample = TimedBlocks(
            median=median,
            low=min(found),
            high=max(found),
            spread=(max(found) - min(found)) / median,
            rounds=len(found),
            floor=min(found),
        )
        base = statistics.median(waits["loop"])
        recorder.add(
            Figure(
                id=f"off_loop.{name}.{way}.{round(share * 100)}",
                name=f"p99, {name} at {share:.0%} of a core, {_WAYS[way]}",
                unit="us",
                value=sample,
                raw=base if way == "threads" else None,
                raw_is="on the loop" if way == "threads" else "",
                details={"requests_per_second": rate},
            )
        )


async def _seconds_of_one(case: Case, tokens: Iterator[bytes]) -> float:
    """Return the seconds of the loop that a request takes under load, its task included."""
    app = JWTMiddleware(bare_app, case.verifier(None))
    taken = []
    for _ in range(10):
        scopes = [request_of(next(tokens)) for _ in range(20)]
        start = time.perf_counter()
        tasks = [asyncio.ensure_future(app(each, take_nothing, send_nowhere)) for each in scopes]
        await asyncio.gather(*tasks)
        taken.append((time.perf_counter() - start) / len(tasks))
    return statistics.median(taken)


async def _slowest(app: JWTMiddleware, tokens: list[bytes], rate: float) -> float:
    """Send requests at random instants, and return the 99th percentile in microseconds.

    The time of a request begins at the instant it was due, so that waiting for the loop counts.
    Another process (`linqi_bench.pacer`) sends the due instants.
    """
    loop = asyncio.get_running_loop()
    waits: list[float] = []

    async def one(token: bytes, due: float) -> None:
        await app(request_of(token), take_nothing, send_nowhere)
        waits.append(time.monotonic() - due)

    pacer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "linqi_bench.pacer", str(rate), str(len(tokens))),
        stdout=asyncio.subprocess.PIPE,
    )
    assert pacer.stdout is not None
    running = []
    for token in tokens:
        (due,) = DUE.unpack(await pacer.stdout.readexactly(DUE.size))
        running.append(loop.create_task(one(token, due)))
    await asyncio.gather(*running)
    await pacer.wait()
    return statistics.quantiles(waits, n=100)[98] * 1e6
