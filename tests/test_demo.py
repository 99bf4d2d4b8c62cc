"""The demo, on real servers with a short lifetime."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import linqi_tune.demo.demo as module
from linqi.cli import main
from linqi_storm.schema.result_file import load_run


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``linqi demo``."""
    command = [sys.executable, "-m", "linqi", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_the_demo_renews_and_proves_it(alg: str) -> None:
    """In 8 s with a lifetime of 4 s each renewal has one signature, and no request gets 401."""
    done = demo(
        *("--seconds", "8", "--lifetime-seconds", "4", "--buffer-seconds", "1.8"),
        *("--alg", alg, "--storm-seconds", "0"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "successor adopted" in done.stdout
    assert "FAILED" not in done.stdout
    assert "expired" in done.stdout
    assert "invented" in done.stdout


def test_a_demo_whose_server_cannot_start_says_why() -> None:
    """The end of the server's output is shown, and the exit code is 1."""
    done = demo("--lifetime-seconds", "0.5", "--buffer-seconds", "0.2")
    assert done.returncode == 1
    assert "lifetime is 0.5" in done.stdout


def test_a_demo_too_short_for_a_renewal_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says how long it must be, before any server starts."""
    assert main(["demo", "--seconds", "4"]) == 2
    assert "lifetime - buffer = 12 s" in capsys.readouterr().err


def test_storms_without_renewals_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that answers each token after its expiry sees none, and no traceback."""
    recorded = load_run(Path(__file__).parent / "storms" / "void.json")
    storms = [replace(recorded, peaks=(), rates=None)] * 2
    monkeypatch.setattr(module, "run_plain_then_grid", lambda *_, **__: storms)
    monkeypatch.setattr(module, "run_tuning", lambda *_: True)
    shown = io.StringIO()
    module._storm(Console(file=shown, width=200), Path(), 30)
    assert "no renewals, no renewals" in shown.getvalue()
