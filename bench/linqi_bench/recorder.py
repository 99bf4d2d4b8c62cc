"""The pytest plugin that gives suites their settings and collects their figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final

import pytest

from linqi_bench.figures import Figure
from linqi_bench.settings import Settings
from linqi_bench.timing import TimedBlocks, summarize
from linqi_bench.yardstick import read_yardstick

__all__ = ["Recorder", "run_block"]

_STEADY: Final = 0.05
"""A yardstick that varies by less than this is steady for a shared machine."""


class Recorder:
    """Collects figures; suites ask for it as the fixture ``recorder``.

    Args:
        seconds: How long one figure may be measured.
        tell: Called as each test starts, with the number of tests and the name of this one.
        settings: The settings whose costs are measured; the defaults where None.
        is_quick: Whether suites leave out what a smoke run does not need.
        against: The interpreter of another environment, whose linqi is served beside this one.
        measure_yardstick: Returns microseconds; see `linqi_bench.yardstick`.

    """

    def __init__(
        self,
        seconds: float,
        tell: Callable[[int, str], object],
        *,
        settings: Settings | None = None,
        is_quick: bool = False,
        against: str | None = None,
        measure_yardstick: Callable[[], float] = read_yardstick,
    ) -> None:
        self.seconds = seconds
        self.settings = settings or Settings()
        self.is_quick = is_quick
        self.against = against
        self.figures: list[Figure] = []
        self.failures: list[str] = []
        self.skipped: list[str] = []
        self.yardsticks: list[float] = []
        self._tell = tell
        self._count = 0
        self._began: list[int] = []
        self._measure_yardstick = measure_yardstick

    @pytest.fixture
    def recorder(self) -> Recorder:
        """Return this recorder, as a fixture."""
        return self

    def add(self, figure: Figure) -> None:
        """Add `figure` to the result."""
        self.figures.append(figure)
        self._began.append(len(self.yardsticks))

    @property
    def yardstick(self) -> float:
        """The microseconds of the yardstick over the run, as its median."""
        return statistics.median(self.yardsticks) if self.yardsticks else 0.0

    @property
    def drift(self) -> float:
        """The interquartile range of the yardstick over its median."""
        if len(self.yardsticks) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.yardsticks, n=4)
        return (high - low) / self.yardstick

    @property
    def widenings(self) -> list[float]:
        """The share of its value by which the interval of each figure is widened.

        That is how much slower the yardstick was just before or after the figure than at the lower
        quartile of the run; 0 where that is below 5 %.
        """
        if len(self.yardsticks) < 2:
            return [0.0] * len(self.figures)
        quiet = statistics.quantiles(self.yardsticks, n=4)[0]
        shares = []
        for began in self._began:
            around = self.yardsticks[max(0, began - 1) : began + 1]
            slower = max(around, default=quiet) / quiet - 1
            shares.append(slower if slower > _STEADY else 0.0)
        return shares

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the tests."""
        self._count = len(session.items)

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        """Report the test that starts, and read the yardstick before it."""
        self._tell(self._count, nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " "))
        self.yardsticks.append(self._measure_yardstick())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the reason of a failed or skipped test."""
        if report.failed:
            self.failures.append(f"{report.nodeid} ({report.when})\n{report.longreprtext}")
        elif report.skipped and isinstance(report.longrepr, tuple):
            self.skipped.append(str(report.longrepr[2]).removeprefix("Skipped: "))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Collect the reason why a suite could not be imported."""
        if report.failed:
            self.failures.append(f"{report.nodeid}\n{report.longreprtext}")


def run_block(
    benchmark: Any, figure_id: str, block: Callable[[], object], calls: int
) -> TimedBlocks:
    """Run `block` of `calls` calls under pytest-benchmark, and return microseconds per call.

    pytest-benchmark reports whole blocks: the group of its table says how many calls each makes.
    """
    benchmark.group = f"{figure_id}: blocks of {calls} calls" if calls > 1 else figure_id
    benchmark.extra_info.update(figure=figure_id, calls_per_round=calls)
    benchmark(block)
    return summarize([taken * 1e6 / calls for taken in benchmark.stats.stats.data])
