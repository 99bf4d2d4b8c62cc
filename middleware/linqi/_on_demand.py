"""Names of a package whose modules are imported when a name is first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["on_demand"]


def on_demand(
    namespace: dict[str, Any], homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package.

    A name is looked up once: it then stands in the package like any other. To be called where
    ``TYPE_CHECKING`` is false, so that a type checker sees plain imports and finds wrong names.

    Args:
        namespace: The package's ``globals()``.
        homes: The public names by the full name of their module; a module that is itself public
            stands with the package: ``{"linqi": ("errors",)}``.

    """
    package = namespace["__name__"]
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home == package:
            return import_module(f"{package}.{name}")
        value = namespace[name] = getattr(import_module(home), name)
        return value

    return get, lambda: sorted({*namespace, *home_of})
