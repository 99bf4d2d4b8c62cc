"""Commands run without the modules and functions that Windows lacks.

What cannot be taken away here, such as its paths and event loop, only a run on Windows shows.
"""

import os
import subprocess
import sys
from pathlib import Path

PARTS = Path(__file__).parent / "without_posix"


def run(folder: Path, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run ``python -m linqi`` in `folder`, and print in the encoding of a Windows pipe."""
    environment = {**os.environ, "PYTHONPATH": str(PARTS), "PYTHONIOENCODING": "cp1252"}
    return subprocess.run(
        [sys.executable, "-m", "linqi", *arguments],
        capture_output=True,
        encoding="cp1252",
        cwd=folder,
        env=environment,
        timeout=seconds,
        check=False,
    )


def test_the_names_are_gone() -> None:
    """The test takes away what it says."""
    ran = subprocess.run(
        [sys.executable, "-c", "import os; os.fork"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PARTS)},
        check=False,
    )
    assert "no attribute 'fork'" in ran.stderr


def test_a_configuration_is_made_and_checked(tmp_path: Path) -> None:
    """The first commands run; the one finding is that no path of the new file is public."""
    assert run(tmp_path, "init").returncode == 0
    assert run(tmp_path, "keygen").returncode == 0
    text = (tmp_path / "linqi.toml").read_text("utf-8")
    (tmp_path / "linqi.toml").write_text(text.replace(".example", ".test"), "utf-8")
    checked = run(tmp_path, "check")
    assert "linqi.toml: 1 warning" in checked.stdout, checked.stdout + checked.stderr


def test_the_demo_passes_and_leaves_the_storms_out(tmp_path: Path) -> None:
    """`linqi serve` and dual tokens are part of it; each check of theirs passes."""
    ran = run(
        tmp_path,
        *("demo", "--seconds", "4", "--lifetime-seconds", "4", "--buffer-seconds", "1.8"),
        seconds=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAILED" not in ran.stdout
    assert "storms and tuning left out" in ran.stdout


def test_a_storm_says_what_it_needs(tmp_path: Path) -> None:
    """One sentence instead of a traceback."""
    ran = run(tmp_path, "storm", "--sessions", "10")
    assert ran.returncode == 2
    assert "on Linux or macOS, in WSL or in a container" in ran.stderr
