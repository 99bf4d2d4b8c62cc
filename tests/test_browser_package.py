"""The browser module as a file: its size, its types, and no storage."""

import gzip
import json
import re

import pytest

import linqi
from linqi.browser import FOLDER


def test_the_module_is_small() -> None:
    """At most 5,250 bytes with gzip, comments included."""
    size = len(gzip.compress((FOLDER / "linqi.js").read_bytes(), 9, mtime=0))
    assert size <= 5_250


def test_the_folder_is_a_package_of_the_same_version() -> None:
    """package.json lists existing files, and the version of the Python package."""
    described = json.loads((FOLDER / "package.json").read_text())
    assert described["version"] == linqi.__version__
    assert all((FOLDER / name).is_file() for name in described["files"])
    entry = described["exports"]["."]
    assert {entry["types"], entry["default"]} == {"./linqi.d.ts", "./linqi.js"}
    entry = described["exports"]["./axios"]
    assert {entry["types"], entry["default"]} == {"./linqi-axios.d.ts", "./linqi-axios.js"}


@pytest.mark.parametrize("name", ["linqi", "linqi-axios"])
def test_every_export_has_a_type(name: str) -> None:
    """The names that a module exports are those that its declarations have as values."""
    exported = re.findall(
        r"^export (?:async )?(?:const|class|function) (\w+)",
        (FOLDER / f"{name}.js").read_text(),
        re.MULTILINE,
    )
    declared = re.findall(
        r"^export (?:const|class|function) (\w+)",
        (FOLDER / f"{name}.d.ts").read_text(),
        re.MULTILINE,
    )
    assert sorted(exported) == sorted(declared)


@pytest.mark.parametrize("module", ["linqi", "linqi-axios"])
def test_no_storage_is_ever_used(module: str) -> None:
    """The modules refer to no storage in which a token could be kept."""
    source = (FOLDER / f"{module}.js").read_text()
    for name in ("localStorage", "sessionStorage", "indexedDB", "caches", "document.cookie"):
        assert name not in source
