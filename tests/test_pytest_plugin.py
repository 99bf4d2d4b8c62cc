"""The plugin under a pytest of its own: the examples of the guide, as a reader runs them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "testing"
OTHERS = ("hypothesispytest", "faker", "locust", "benchmark", "valkey", "pytest_cov")
WITHOUT = [part for name in OTHERS for part in ("-p", f"no:{name}")]
"""Plugins of this environment that take seconds to load."""


def pytest_in(folder: Path, *options: str) -> str:
    """Run pytest in `folder`, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    command += ["-W", "ignore:The configuration option", *WITHOUT]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_examples_pass_in_a_folder_of_their_own(tmp_path: Path) -> None:
    """In a worker of pytest-xdist, and in the strict mode of pytest-asyncio.

    The tests of this project use the same fixtures in the mode ``auto``.
    """
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, tmp_path)
    written = sum(
        len(re.findall(r"^(?:async )?def test_", path.read_text(), re.M))
        for path in EXAMPLES.glob("test_*.py")
    )
    options = ["-n", "1", "-o", "asyncio_mode=strict"]
    assert f"{written} passed" in pytest_in(tmp_path, *options)


def test_the_fixtures_are_described(tmp_path: Path) -> None:
    """``pytest --fixtures`` shows what each is for, without a test that uses it."""
    shown = pytest_in(tmp_path, "--fixtures", "--co")
    for line in (
        r"linqi_clock -- .*\n    Move the time of everything of linqi",
        r"linqi_issuer -- .*\n    Stand in for the outside issuer",
        r"linqi_app -- .*\n    Return the application for `signed_in`",
        r"signed_in -- .*\n    Sign a user in",
    ):
        assert re.search(line, shown), line


def test_a_pytest_that_does_not_use_it_pays_for_one_small_module() -> None:
    """Every pytest of the environment loads the plugin, so it loads no other module of ours."""
    program = (
        "import sys, pytest; before = set(sys.modules); import linqi.testing.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [
        "linqi",
        "linqi._on_demand",
        "linqi.testing",
        "linqi.testing.pytest_plugin",
    ]
