"""How a mutant is put into a process: one attribute of the package is replaced."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

__all__ = ["Patch", "PatchError", "Patches", "apply", "resolve"]

Replacement: TypeAlias = Callable[..., Any]
"""Called instead of the original, which is its first argument."""


class PatchError(Exception):
    """A place that a mutant patches has another name or other parameters than it expects."""


class Patch(Protocol):
    """What a mutant is given: it decorates the replacement of one place."""

    def __call__(
        self, target: str, *, is_counted: bool = True
    ) -> Callable[[Replacement], Replacement]:
        """Replace ``module:name`` or ``module:Class.name`` by the decorated function.

        Args:
            target: The place.
            is_counted: Whether each call counts as reached. A replacement that is wrong only
                sometimes says no, and calls `reach` when it is.

        """
        ...

    def reach(self) -> None:
        """Note that the wrong behaviour has happened."""
        ...


class Patches:
    """Puts the patches of one mutant into this process, and notes in a folder which were reached.

    Args:
        marks: The folder; None checks the places only, and changes nothing.

    Attributes:
        targets: The places so far.

    """

    def __init__(self, marks: Path | None = None) -> None:
        self._marks = marks
        self._noted: set[str] = set()
        self.targets: list[str] = []

    def __call__(
        self, target: str, *, is_counted: bool = True
    ) -> Callable[[Replacement], Replacement]:
        """Return the decorator of the replacement; see `Patch`.

        Raises:
            PatchError: The place does not exist, or takes other parameters.

        """
        owner, name, kept = resolve(target)
        self.targets.append(target)
        original = _function_of(kept)

        def decorate(replacement: Replacement) -> Replacement:
            _compare(target, original, replacement)
            if self._marks is None:
                return replacement

            @functools.wraps(original)
            def replaced(*arguments: Any, **named: Any) -> Any:
                if is_counted:
                    self.reach()
                return replacement(original, *arguments, **named)

            setattr(owner, name, type(kept)(replaced) if kept is not original else replaced)
            return replacement

        return decorate

    def reach(self) -> None:
        """Note that the wrong behaviour has happened."""
        self._note("reached")

    def applied(self) -> None:
        """Note that all patches of the mutant are in this process."""
        self._note("applied")

    def _note(self, mark: str) -> None:
        if self._marks is not None and mark not in self._noted:
            self._noted.add(mark)
            (self._marks / f"{mark}-{os.getpid()}").touch()


def apply(name: str, marks: Path) -> None:
    """Put the mutant `name` into this process; its marks are written into the folder `marks`."""
    from mutants.catalogue import MUTANTS

    patches = Patches(marks)
    MUTANTS[name].put(patches)
    patches.applied()


def resolve(target: str) -> tuple[Any, str, Any]:
    """Return the owner, the name and the value of ``module:name`` or ``module:Class.name``.

    Raises:
        PatchError: There is no such place.

    """
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    try:
        owner: Any = importlib.import_module(module)
        for step in owners:
            owner = getattr(owner, step)
        return owner, name, vars(owner)[name]
    except (ImportError, AttributeError, KeyError) as error:
        raise PatchError(f"there is no {target} any more: {error!r}") from error


def _function_of(kept: Any) -> Callable[..., Any]:
    """Return the function in a descriptor, or `kept` itself."""
    if isinstance(kept, property):
        assert kept.fget is not None
        return kept.fget
    return kept.__func__ if isinstance(kept, classmethod | staticmethod) else kept


def _compare(target: str, original: Callable[..., Any], replacement: Replacement) -> None:
    """Raise `PatchError` unless the replacement takes ``original`` and the parameters of it."""
    if not inspect.isfunction(original):  # a builtin names its parameters as it likes
        return
    there = [*inspect.signature(original).parameters]
    expected = [*inspect.signature(replacement).parameters][1:]
    if there != expected:
        raise PatchError(f"{target} takes {there}, the mutant expects {expected}")
