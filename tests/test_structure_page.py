"""The pages that say where things are: what is there is named, and no host that is not ours."""

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


def test_no_page_names_the_host_of_a_package_index() -> None:
    """Where packages come from is decided where they are installed."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    hosts = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.(?:com|org)")
    assert [page.name for page in pages if hosts.search(page.read_text())] == []
