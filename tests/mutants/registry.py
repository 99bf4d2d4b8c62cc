"""What a mutant is, and how one is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mutants.patching import Patch
from mutants.storms import Storm

__all__ = ["REGISTERED", "Mutant", "mutant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One wrong behaviour of the service under test."""

    name: str
    says: str
    """What is wrong, in one sentence."""
    storm: Storm
    """Where it must show."""
    killed_by: str
    """The invariant that must fail, by its name; empty while there is none, and a run fails."""
    survives: str
    """Why no invariant can fail, for a mutant that is known to survive; empty otherwise."""
    put: Callable[[Patch], None]
    """Puts it into a process."""


_FOUND: Final[dict[str, Mutant]] = {}
REGISTERED: Final[Mapping[str, Mutant]] = _FOUND
"""The mutants by name; `catalogue` imports the modules that register them."""


def mutant(
    storm: Storm, *, killed_by: str = "", survives: str = ""
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Register the decorated function, whose docstring says what is wrong."""

    def register(put: Callable[[Patch], None]) -> Callable[[Patch], None]:
        name = put.__name__.replace("_", "-")
        says = (put.__doc__ or "").partition("\n")[0]
        _FOUND[name] = Mutant(
            name=name, says=says, storm=storm, killed_by=killed_by, survives=survives, put=put
        )
        return put

    return register
