"""The pinned requirements are complete, exact, and free of any one machine."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = ["hatchling", "editables"]  # what an editable install without isolation needs


def lines_of(name: str) -> list[str]:
    """Return the lines of one requirements file."""
    return (ROOT / "requirements" / name).read_text().splitlines()


def pinned_in(name: str) -> set[str]:
    """Return the normalized names that one requirements file pins."""
    return {normal(line) for line in lines_of(name)}


def normal(requirement: str) -> str:
    """Return the distribution's name of a requirement as PEP 503 normalizes it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement)[0]).lower()


def group(name: str) -> Iterator[Any]:
    """Yield the requirements of a dependency group with those of the groups it includes."""
    for entry in PROJECT["dependency-groups"][name]:
        if isinstance(entry, dict):
            yield from group(entry["include-group"])
        else:
            yield entry


@pytest.mark.parametrize("name", ["demo.txt", "dev.txt"])
def test_every_requirement_is_one_exact_version(name: str) -> None:
    """A line is ``name==version`` and nothing else: no index, address, path or hash."""
    for line in lines_of(name):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==(?:[0-9]+!)?[A-Za-z0-9.]+", line), line


def test_what_the_demo_needs_is_pinned() -> None:
    """The core, what ``linqi serve`` adds and the build tools stand in ``demo.txt``."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {normal(r) for r in [*PROJECT["project"]["dependencies"], *extras["serve"], *BUILD]}
    assert wanted <= pinned_in("demo.txt")


def test_what_the_checks_need_is_pinned() -> None:
    """The benchmarks, the linters and the test tools stand in ``dev.txt``."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {normal(r) for r in [*extras["bench"], *group("dev")]}
    assert wanted <= pinned_in("dev.txt")


def test_the_demo_and_the_tests_run_on_the_same_versions() -> None:
    """Every line of ``demo.txt`` is in ``dev.txt``, so both fit into one environment."""
    assert set(lines_of("demo.txt")) <= set(lines_of("dev.txt"))
