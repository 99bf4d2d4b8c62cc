"""What `make` does with another version of Python."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAKE = shutil.which("make") or "make"
OF_A_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHON"}
"""What a `make test PYTHON=...` around this test would pass on."""


def plan_of(*arguments: str) -> str:
    """Return the commands that `make lint` would run."""
    done = subprocess.run(
        [MAKE, "--dry-run", "lint", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name not in OF_A_MAKE},
    )
    return done.stdout


def test_each_version_of_python_has_an_environment_of_its_own(tmp_path: Path) -> None:
    """The usual one keeps .venv; the tests of another version do not run in it."""
    other = tmp_path / "python3.99"
    other.write_text("#!/bin/sh\necho 3.99\n")
    other.chmod(0o755)
    assert ".venv/bin/ruff" in plan_of()
    plan = plan_of(f"PYTHON={other}")
    assert ".venv-3.99/bin/ruff" in plan
    assert ".venv/" not in plan
