"""The public face: sorted, exported, documented, and of one version."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import linqi

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT / "middleware").with_suffix("").parts)
    for path in (ROOT / "middleware" / "linqi").rglob("*.py")
    if not path.stem.startswith("_") and path.stem != "cli"
)


def test_the_public_names_are_sorted_and_exist() -> None:
    """``linqi.__all__`` is sorted, without doubles, and every name in it can be had."""
    assert linqi.__all__ == sorted(set(linqi.__all__))
    for name in linqi.__all__:
        assert getattr(linqi, name) is not None


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_and_function_is_documented(module: str) -> None:
    """What a module's ``__all__`` names has a docstring, and so have its public methods."""
    loaded = importlib.import_module(module)
    assert len(loaded.__all__) == len(set(loaded.__all__)), module
    for name in loaded.__all__:
        thing = getattr(loaded, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        assert inspect.getdoc(thing), f"{module}.{name}"
        for method, value in vars(thing).items() if inspect.isclass(thing) else ():
            is_spoken = isinstance(value, property) or callable(getattr(thing, method))
            if not method.startswith("_") and is_spoken:
                assert inspect.getdoc(value), f"{module}.{name}.{method}"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_definition_is_in_its_modules_all(module: str) -> None:
    """A class or function without an underscore is named in ``__all__`` of its module."""
    loaded = importlib.import_module(module)
    made_here = {
        name
        for name, thing in vars(loaded).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module
    }
    assert made_here <= set(loaded.__all__)


@pytest.mark.parametrize("module", ["linqi.errors", "linqi.events"])
def test_every_error_and_event_is_reachable_from_the_package(module: str) -> None:
    """``linqi.errors`` and ``linqi.events`` are exported as a whole."""
    assert getattr(linqi, module.rpartition(".")[2]) is importlib.import_module(module)


def test_the_error_tree_in_the_docstring_is_the_real_one() -> None:
    """Every error class stands in the tree that the module shows, under its own parent."""
    drawn = re.findall(r"^ *([│ ]*)[├└]── (\w+)", linqi.errors.__doc__ or "", re.MULTILINE)
    assert sorted([*(name for _, name in drawn), "LinqiError"]) == sorted(linqi.errors.__all__)
    parents = ["LinqiError"]
    for branches, name in drawn:
        depth = 1 + (len(branches) + 3) // 4
        parents[depth:] = [name]
        assert getattr(linqi.errors, name).__base__.__name__ == parents[depth - 1]


def test_version_changelog_and_project_agree() -> None:
    """The first version in the changelog is the package's and the project file's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == linqi.__version__ == project["version"]
