"""Run the tests side by side, and those that failed once more alone.

The machine that runs them is shared, and tests wait for real servers: a handful that fails beside
three others and passes alone says that the machine was busy. They are named at the end, so that a
test that is named often is repaired. Many failures, a test that fails again, a test module that
cannot be imported and a process that crashes are failures at once.

    python tests/suite.py -n 4 --dist loadfile --cov
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

MOST_REPEATED = 5
"""More failures than these are no noise."""


@dataclass(slots=True)
class Outcome:
    """What the first run has found.

    Attributes:
        failed: The ids of the tests that failed, or whose fixtures did, in their order.
        is_broken: Whether a module could not be imported, or a process ended in the middle.

    """

    failed: dict[str, None] = field(default_factory=dict)
    is_broken: bool = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed:
            self.failed[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that cannot be imported."""
        self.is_broken |= report.failed

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Note a process of pytest-xdist that crashed."""
        self.is_broken |= error is not None

    def may_be_noise(self, code: int) -> bool:
        """Return whether the failures are so few that they are worth a second run."""
        is_only_failures = code == pytest.ExitCode.TESTS_FAILED and not self.is_broken
        return is_only_failures and 0 < len(self.failed) <= MOST_REPEATED


def passes_alone(test: str, arguments: Sequence[str]) -> bool:
    """Run one test in a process of its own, beside nothing."""
    covered = ["--cov", "--cov-append", "--cov-report=", "--cov-fail-under=0"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    return subprocess.run([*command, *(covered if "--cov" in arguments else ())]).returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Run pytest with `arguments`, and return the code with which to exit."""
    outcome = Outcome()
    code = int(pytest.main([*arguments], plugins=[outcome]))
    if not outcome.may_be_noise(code):
        return code
    print(f"\nonce more, alone: {len(outcome.failed)} of the tests", flush=True)
    passed = [test for test in outcome.failed if passes_alone(test, arguments)]
    again = [test for test in outcome.failed if test not in passed]
    print("", *(f"passed only when run alone: {test}" for test in passed), sep="\n")
    print(*(f"failed again when run alone: {test}" for test in again), sep="\n", flush=True)
    return code if again else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
