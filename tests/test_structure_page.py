"""The pages that say where things are: what is there is named, and no host that is not ours."""

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "structure.md"
PACKAGE = ROOT / "middleware" / "linqi"


def test_every_module_of_the_package_is_on_the_page() -> None:
    """A reader finds each module by its name."""
    named = set(re.findall(r"\w+\.py", PAGE.read_text()))
    there = {path.name for path in PACKAGE.rglob("*.py")} - {"__init__.py"}
    assert there - named == set()


def _installed(requirement: Requirement, found: dict[str, set[str]]) -> None:
    """Add the distributions that `requirement` installs to `found`, each with its extras."""
    extras = {"", *requirement.extras}
    known = found.setdefault(canonicalize_name(requirement.name), set())
    new = extras - known
    known |= extras
    for text in (requires(requirement.name) or []) if new else []:
        needed = Requirement(text)
        marker = needed.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            _installed(needed, found)


def test_the_page_counts_what_is_installed_in_production() -> None:
    """A dependency that is added or dropped changes the count that an operator reads."""
    row = re.search(r"\| production image .*?\| (\d+), .*?`\[remote\]`: (\d+),", PAGE.read_text())
    assert row
    for name, count in zip(("linqi", "linqi[remote]"), row.groups(), strict=True):
        found: dict[str, set[str]] = {}
        _installed(Requirement(name), found)
        assert len(found) == int(count), sorted(found)


def test_no_page_names_the_host_of_a_package_index() -> None:
    """Where packages come from is decided where they are installed."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    hosts = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.(?:com|org)")
    assert [page.name for page in pages if hosts.search(page.read_text())] == []
