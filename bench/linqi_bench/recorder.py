"""The pytest plugin that lends the suites a stopwatch and keeps what they measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from linqi_bench.figures import Figure
from linqi_bench.timing import Sample, summarize

__all__ = ["Recorder", "run_block"]


class Recorder:
    """Collects figures; suites ask for it as the fixture ``recorder``.

    `seconds` is how long one figure may be measured. `tell` hears the name of each test as it
    starts.
    """

    def __init__(self, seconds: float, tell: Callable[[str], object]) -> None:
        self.seconds = seconds
        self.figures: list[Figure] = []
        self.failures: list[str] = []
        self._tell = tell

    @pytest.fixture
    def recorder(self) -> Recorder:
        """Give this recorder to a suite."""
        return self

    def add(self, figure: Figure) -> None:
        """Keep `figure`."""
        self.figures.append(figure)

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        """Tell which test runs."""
        self._tell(nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " "))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep why a suite failed."""
        if report.failed:
            self.failures.append(f"{report.nodeid} ({report.when})\n{report.longreprtext}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a suite could not be read."""
        if report.failed:
            self.failures.append(f"{report.nodeid}\n{report.longreprtext}")


def run_block(benchmark: Any, block: Callable[[], object], calls: int) -> Sample:
    """Run `block` of `calls` calls under pytest-benchmark; give microseconds per call."""
    benchmark(block)
    return summarize([taken * 1e6 / calls for taken in benchmark.stats.stats.data])
