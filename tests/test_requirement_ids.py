"""The list of requirements is complete: each has a test, and nothing cites one that is missing."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIST = ROOT / "docs" / "reference" / "requirements.md"
LISTED = re.findall(r"^- \*\*([VHKJRDI][1-9]\d?)\*\* \S", LIST.read_text(), re.MULTILINE)
CITED = re.compile(r"\b([VHKJRDI][1-9]\d?)\b(?!\s*=|[.\w])")
"""An id as prose cites it."""


def files() -> list[Path]:
    """Return the files that may cite a requirement."""
    folders = ("middleware", "bench", "loadtests", "tests", "docs")
    found = [path for name in folders for path in sorted((ROOT / name).rglob("*"))]
    return [
        path
        for path in found
        if path.suffix in (".py", ".md", ".lua", ".sql", ".js")
        and path != LIST
        and path.name != Path(__file__).name
    ]


def test_an_id_stands_once_in_the_list() -> None:
    """Two lines with one id would contradict each other."""
    assert len(LISTED) == len(set(LISTED)) > 60


def test_no_id_is_cited_that_the_list_lacks() -> None:
    """A reader finds each cited id in the list."""
    strange = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files()
        for name in CITED.findall(path.read_text())
        if name not in LISTED
    }
    assert not strange


@pytest.mark.parametrize("name", LISTED)
def test_requirement_has_a_test(name: str) -> None:
    """At least one test bears the id, in its name or in its docstring."""
    pattern = re.compile(rf"\b{name}\b|_{name.lower()}(?:_|\b)")
    assert any(pattern.search(path.read_text()) for path in (ROOT / "tests").glob("test_*.py"))


def test_v18_macs_are_compared_in_constant_time() -> None:
    """All places that check a MAC leave the comparison to the library made for it."""
    jws = (ROOT / "middleware/linqi/jose/_jws.py").read_text()
    refresh = (ROOT / "middleware/linqi/sessions/refresh_token.py").read_text()
    assert "hmac.compare_digest(mac.digest(), signature)" in jws
    assert "hmac.compare_digest(mac," in refresh
    device = (ROOT / "middleware/linqi/sessions/device_token.py").read_text()
    assert "hmac.compare_digest(mac," in device
    assert not re.search(r"\bmac\s*[!=]=|[!=]=\s*mac\b", jws + refresh + device)
