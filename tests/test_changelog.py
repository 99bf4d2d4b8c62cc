"""CHANGELOG.md follows keep a changelog, starts with the package's version and repeats no line."""

import re
from pathlib import Path

import linqi

LINES = (Path(__file__).parent.parent / "CHANGELOG.md").read_text().splitlines()
SECTIONS = ["Highlights", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
AREAS = [
    "Verification",
    "Keys",
    "Issuers",
    "Sliding sessions",
    "Dual tokens and accounts",
    "Session stores",
    "HTTP",
    "Frameworks",
    "Clients",
    "Settings and commands",
    "Events, logs and metrics",
    "Tests of applications",
    "Storms",
    "Tuner",
    "Benchmarks",
    "Development",
    "Documentation",
]
VERSION = re.compile(r"## \[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d{2}-\d{2})")


def test_every_version_has_a_date_and_known_sections_in_order() -> None:
    """A version has a number, a date or "unreleased", and sections in the order of the form."""
    order: list[int] = []
    for line in LINES:
        if line.startswith("## "):
            assert VERSION.fullmatch(line), line
            order = []
        elif line.startswith("### "):
            order.append(SECTIONS.index(line.removeprefix("### ")))
            assert order == sorted(set(order)), line


def test_areas_stand_in_their_order_below_what_was_added() -> None:
    """What was added is grouped by area; new entries may stand above the first area."""
    found: list[int] = []
    section = ""
    for line in LINES:
        if line.startswith("## "):
            found = []
        elif line.startswith("### "):
            section = line
        elif line.startswith("#### "):
            assert section == "### Added", line
            found.append(AREAS.index(line.removeprefix("#### ")))
            assert found == sorted(set(found)), line


def test_the_first_version_is_that_of_the_package() -> None:
    """The newest version in the changelog is the version of the package."""
    newest = next(found[1] for line in LINES if (found := VERSION.fullmatch(line)))
    assert newest == linqi.__version__


def test_every_entry_is_a_sentence_in_a_section() -> None:
    """Below a version stand a paragraph, headings, links, and entries that end with a stop."""
    start = next(n for n, line in enumerate(LINES) if VERSION.fullmatch(line))
    section = ""
    for line in LINES[start:]:
        if line.startswith("## "):
            section = ""
        elif line.startswith("### "):
            section = line
        elif line and not line.startswith(("#### ", "[")):
            assert line.startswith("- ") == bool(section), line
            assert line.endswith("."), line


def test_no_entry_is_repeated() -> None:
    """No two entries of a version begin with the same forty characters."""
    seen: set[str] = set()
    for line in LINES:
        if line.startswith("## "):
            seen = set()
        elif line.startswith("- "):
            assert line[:42] not in seen, line
            seen.add(line[:42])
