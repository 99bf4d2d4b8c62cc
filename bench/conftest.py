"""Makes the suites ordinary tests: ``pytest bench --benchmark-only``.

pytest-benchmark then reports the figures that it takes, and skips those that are timed in pairs
(docs/decisions/0005-paired-statistics.md). Without ``--benchmark-only`` the suites run once, as
short as in a quick run of ``linqi bench``, and their figures are dropped.
"""

from __future__ import annotations

import pytest

from linqi_bench.pytest_run import QUICK_SECONDS
from linqi_bench.recorder import Recorder


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture ``recorder``."""
    recorder = Recorder(QUICK_SECONDS, lambda count, name: None, is_quick=True)
    config.pluginmanager.register(recorder, "linqi-bench-recorder")
