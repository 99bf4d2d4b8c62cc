"""Suite: what the client's half of near expiry costs."""

from __future__ import annotations

import time
from typing import Any, Final

from linqi.client.judge import JudgeSettings, hold, judge
from linqi_bench import budgets
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block

_CALLS: Final = 500


def test_judge(recorder: Recorder, benchmark: Any) -> None:
    """A fresh token, with both clocks read."""
    now = time.time()
    held = hold(
        issued_at=now,
        expires_at=now + 900,
        wall=now,
        monotonic=time.monotonic(),
        settings=JudgeSettings(),
    )

    def look() -> None:
        for _ in range(_CALLS):
            judge(held, time.time(), time.monotonic())

    sample = run_block(benchmark, look, _CALLS)
    assert judge(held, time.time(), time.monotonic()) == "fresh"
    recorder.add(
        Figure(
            group="client",
            name="judging a token",
            unit="us",
            sample=sample,
            budget=budgets.JUDGE,
            total=sample.median,
        )
    )
