"""The page that says where things are names what is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "structure.md"
PACKAGE = ROOT / "middleware" / "linqi"


def test_every_module_of_the_package_is_on_the_page() -> None:
    """A reader finds each module by its name."""
    named = set(re.findall(r"\w+\.py", PAGE.read_text()))
    there = {path.name for path in PACKAGE.rglob("*.py")} - {"__init__.py"}
    assert there - named == set()
