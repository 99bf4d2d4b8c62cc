"""The run of all tests: what fails beside the others and passes alone is named, not hidden."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import suite

ONCE = """\
from pathlib import Path

def test_fails_once():
    seen = Path(__file__).with_name("seen")
    is_first = not seen.exists()
    seen.touch()
    assert not is_first

def test_is_fine():
    pass
"""
ALWAYS = (
    "import pytest\n@pytest.mark.parametrize('n', range({count}))\ndef test_fails(n): assert 0\n"
)
CRASHES = "import os\ndef test_ends_its_process(): os._exit(3)\n"


def run(folder: Path, *options: str, **modules: str) -> tuple[int, str]:
    """Return the exit code and the output of a run of test modules with these texts."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -p xdist.plugin\n")
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, suite.__file__, "-q", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the others take a second each
    )
    return done.returncode, done.stdout


def test_what_passes_alone_is_named_and_is_no_failure(tmp_path: Path) -> None:
    """The first failure is shown, and the name of the test at the end."""
    code, text = run(tmp_path, "-n", "2", "--dist", "loadfile", once=ONCE)
    assert code == 0
    assert "assert not is_first" in text
    assert "passed only when run alone: test_once.py::test_fails_once" in text
    assert "test_is_fine" not in text


def test_what_fails_again_is_a_failure(tmp_path: Path) -> None:
    """Whatever else passes alone."""
    code, text = run(tmp_path, once=ONCE, always=ALWAYS.format(count=1))
    assert code == 1
    assert "failed again when run alone: test_always.py::test_fails[0]" in text
    assert "passed only when run alone: test_once.py::test_fails_once" in text


def test_many_failures_are_no_noise(tmp_path: Path) -> None:
    """None of them is run a second time."""
    code, text = run(tmp_path, once=ONCE, always=ALWAYS.format(count=suite.MOST_REPEATED))
    assert code == 1
    assert "alone" not in text


@pytest.mark.parametrize("module", ["import no_such_module\n", CRASHES])
def test_a_module_that_cannot_be_run_is_a_failure_at_once(tmp_path: Path, module: str) -> None:
    """Nothing is known of its other tests."""
    code, text = run(tmp_path, "-n", "1", broken=module)
    assert code != 0
    assert "alone" not in text
