"""What the explanations show is what their programs print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from figures import policies

ROOT = Path(__file__).parent.parent
EXPLANATIONS = ROOT / "docs" / "explanation"
OUTPUT = re.compile(r"<!-- output: (\S+) -->\n```text\n(.*?)```\n<!-- end -->", re.S)


@pytest.mark.parametrize("name", ["same_successor", "session_life"])
def test_a_page_shows_what_its_program_prints(name: str) -> None:
    """A reader who runs the command gets the lines of the page."""
    ((program, shown),) = OUTPUT.findall((EXPLANATIONS / f"{name}.md").read_text())
    run = subprocess.run(
        [sys.executable, str(ROOT / program)], capture_output=True, text=True, check=True
    )
    assert run.stdout == shown


def test_the_table_of_policies_is_what_the_simulation_counts() -> None:
    """The rows of the page are those that `make figures` prints."""
    page = (EXPLANATIONS / "near_expiry.md").read_text()
    assert "\n".join(policies.rows()) in page
