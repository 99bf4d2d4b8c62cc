"""A run of the suites under pytest, as a result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from pytest_benchmark import plugin

from linqi_bench.budgets import Budgets
from linqi_bench.recorder import Recorder
from linqi_bench.results import Result
from linqi_bench.settings import Settings
from linqi_bench.yardstick import read_yardstick
from linqi_report.machine import describe_machine, versions_of

__all__ = ["SUITES", "measure"]

SUITES: Final = (
    *("verification", "workloads", "cache", "keys", "middleware", "renewal", "signing"),
    *(
        "sessions",
        "stores",
        "client",
        "surroundings",
        "off_loop",
        "served",
        "refreshes",
        "imports",
        "starts",
    ),
)
"""The modules that hold the figures, in the order in which they run."""
_LIBRARIES: Final = (
    *("linqi", "PyJWT", "cryptography", "cachetools", "msgspec", "pybase64"),
    *(
        "pytest",
        "pytest-benchmark",
        "uvicorn",
        "uvloop",
        "httptools",
        "granian",
        "fastapi",
        "starlette",
    ),
)
FULL_SECONDS: Final = 1.8
QUICK_SECONDS: Final = 0.2


def measure(
    settings: Settings,
    *,
    is_quick: bool = False,
    only: str | None = None,
    against: str | None = None,
    tell: Callable[[int, str], object] = lambda count, name: None,
) -> tuple[Result, list[str]]:
    """Run the suites, and return the result with the failures.

    Neither configuration files nor other plugins of the surroundings take part.

    Args:
        settings: The settings whose costs are measured.
        is_quick: Measure each figure for 0.2 s, not 1.8, and leave figures out.
        only: A ``-k`` expression of pytest; all tests where it is None.
        against: The interpreter of another environment, whose linqi is served beside this one.
        tell: Called as each test starts, with the number of tests and the name of this one.

    Returns:
        The result, and the text of each failed test.

    """
    home = Path(__file__).parent
    # First, so that the load of the machine does not include the run.
    machine = {**describe_machine(), "libraries": versions_of(_LIBRARIES)}
    started = time.monotonic()
    seconds = QUICK_SECONDS if is_quick else FULL_SECONDS
    recorder = Recorder(seconds, tell, settings=settings, is_quick=is_quick, against=against)
    options = [
        *("-c", os.devnull, "--rootdir", str(home), "--disable-plugin-autoload"),
        *("-p", "no:cacheprovider", "-p", "no:logging", "-p", "no:terminal"),
        *("--noconftest", "--capture=no", "--assert=plain"),
        *(f"--benchmark-max-time={seconds}", "--benchmark-quiet"),
        *(["-k", only] if only else []),
    ]
    pytest.main([*options, *(str(home / f"{name}.py") for name in SUITES)], [plugin, recorder])
    budgets = Budgets.load(recorder.yardstick)
    recorder.yardsticks.append(read_yardstick())
    widenings = recorder.widenings
    figures = [
        figure.widened(share).with_limit(budgets)
        for figure, share in zip(recorder.figures, widenings, strict=True)
    ]
    result = Result(
        figures=[figure.as_json() for figure in figures],
        machine=machine,
        settings=settings.as_json(),
        quick=is_quick,
        only=only,
        took_seconds=round(time.monotonic() - started, 1),
        yardstick_us=recorder.yardstick,
        yardstick_drift=recorder.drift,
        widened_by=max(widenings, default=0.0),
        left_out=sorted(set(recorder.skipped)),
    )
    return result, recorder.failures
