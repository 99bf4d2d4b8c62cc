"""The version that is to be released: every file names it, and the changelog describes it."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\] - (?P<date>\S+)$", re.M)


def project_version() -> str:
    """Return the version in `pyproject.toml`."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def named_versions() -> dict[str, str]:
    """Return the version that each file names, by its path."""
    package = (ROOT / "middleware/linqi/__init__.py").read_text("utf-8")
    browser = (ROOT / "middleware/linqi/browser/package.json").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', package, re.M)
    return {
        "pyproject.toml": project_version(),
        "middleware/linqi/__init__.py": found[1] if found else "",
        "middleware/linqi/browser/package.json": json.loads(browser)["version"],
        "CHANGELOG.md": _newest()["version"],
    }


def version_faults(tag: str | None = None, earlier: frozenset[str] = frozenset()) -> list[str]:
    """Return what is wrong with the version, one sentence each.

    Args:
        tag: The tag of the release, such as ``v0.2.0``; None if nothing is released yet. With a
            tag the changelog must have the date of the release.
        earlier: The tags that exist.

    """
    version = project_version()
    faults = [
        f"{path} names version {named}, pyproject.toml {version}"
        for path, named in named_versions().items()
        if named != version
    ]
    headings = HEADING.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))
    if (times := [named for named, _ in headings].count(version)) > 1:
        faults.append(f"CHANGELOG.md has {times} headings of {version}: merge their sections")
    if tag is None:
        return faults
    if tag != f"v{version}":
        faults.append(f"the tag is {tag}, expected v{version}")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", _newest()["date"]):
        faults.append(f"CHANGELOG.md says {_newest()['date']!r}, expected the date of the release")
    if tag in earlier:
        faults.append(f"the tag {tag} exists: a version is published once")
    return faults


def notes() -> str:
    """Return what the changelog says about the newest version, for the page of the release.

    Links to files of the repository become addresses of the files at the release's tag.
    """
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest, *older = HEADING.finditer(text)
    end = older[0].start() if older else text.index(f"\n[{newest['version']}]: ")
    base = f"https://github.com/linqi/linqi/blob/v{newest['version']}/"
    return re.sub(r"\]\((?!https?:|#)", f"]({base}", text[newest.end() : end]).strip() + "\n"


def _newest() -> re.Match[str]:
    found = HEADING.search((ROOT / "CHANGELOG.md").read_text("utf-8"))
    if found is None:
        raise ValueError("CHANGELOG.md has no version")
    return found
