"""The middleware wherever it is in an application, and another in its place.

Frameworks hold their middleware in different ways: an instance in an attribute of another ASGI
application, or the class with its arguments in a list from which the stack is built at the first
request (Starlette's ``add_middleware``). Therefore the objects of the application are searched, and
not the attributes of each framework.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias

from linqi import JWTMiddleware

__all__ = ["Rewrap", "replace_middleware"]

Rewrap: TypeAlias = Callable[[Any], Any]
"""Returns the middleware of the run around an ASGI application."""

_MOST_OBJECTS: Final = 200_000
_LARGE: Final = 10_000
"""A container with more members holds data, and no middleware."""
_LEAVES: Final = (str, bytes, int, float, complex, bool, type(None), ModuleType, type)

_Put: TypeAlias = Callable[[Any], object]
"""Replaces an object where it was found."""


def replace_middleware(app: Any, rewrap: Rewrap) -> tuple[Any, int]:
    """Return `app` with the middleware of the run in place of each `JWTMiddleware` in it.

    A middleware whose stack is not built yet, such as by FastAPI's ``add_middleware``, is replaced
    too. `app` is changed in place, unless it is a `JWTMiddleware` itself.

    Args:
        app: An ASGI application.
        rewrap: Returns the middleware of the run around an ASGI application.

    Returns:
        The application, and the number of middlewares that were replaced.

    """
    search = _Search(rewrap)
    return search.result(app), search.replaced


class _Search:
    """A breadth-first search of the objects of an application."""

    def __init__(self, rewrap: Rewrap) -> None:
        self._rewrap = rewrap
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._seen: set[int] = set()
        self._waiting: deque[Any] = deque()
        self.replaced = 0

    def result(self, app: Any) -> Any:
        """Return what stands for `app`, after everything in it was replaced."""
        found = self._replacement(app)
        while self._waiting and len(self._seen) < _MOST_OBJECTS:
            for child, put in _members(self._waiting.popleft()):
                new = self._replacement(child)
                if new is not child:
                    put(new)
        return found

    def _replacement(self, value: Any) -> Any:
        """Return what stands for `value`, and remember to search it."""
        # By its type: a proxy, such as Quart's `request`, refuses to name its class here.
        kind = type(value)
        if value is JWTMiddleware:
            self.replaced += 1
            return self._build_later
        if issubclass(kind, JWTMiddleware):
            return self._replaced_instance(value)
        if issubclass(kind, _LEAVES) or id(value) in self._seen:
            return value
        self._seen.add(id(value))
        if issubclass(kind, tuple):
            return self._replaced_tuple(value)
        self._waiting.append(value)
        return value

    def _replaced_instance(self, value: JWTMiddleware) -> Any:
        if id(value) not in self._made:
            self._kept.append(value)  # an id is unique among living objects only
            self.replaced += 1
            self._made[id(value)] = self._rewrap(self._replacement(value.app))
        return self._made[id(value)]

    def _replaced_tuple(self, value: tuple[Any, ...]) -> Any:
        if len(value) > _LARGE:
            return value
        new = [self._replacement(member) for member in value]
        if all(one is other for one, other in zip(new, value, strict=True)):
            return value
        return type(value)(*new) if hasattr(value, "_fields") else tuple(new)

    def _build_later(self, app: Any, *_: Any, **__: Any) -> Any:
        """Stand for the class in a list of middleware: its arguments are those of the user."""
        return self._rewrap(app)


def _members(value: Any) -> Iterator[tuple[Any, _Put]]:
    """Yield each object that `value` holds, with a function that replaces it there."""
    kind = type(value)
    if issubclass(kind, dict | list):
        if len(value) <= _LARGE:
            pairs = value.items() if issubclass(kind, dict) else enumerate(value)
            for place, child in list(pairs):
                yield child, partial(value.__setitem__, place)
    elif kind is FunctionType:
        for cell in value.__closure__ or ():
            yield from _of_cell(cell)
    else:
        yield from _of_instance(value)


def _of_cell(cell: CellType) -> Iterator[tuple[Any, _Put]]:
    try:
        yield cell.cell_contents, partial(setattr, cell, "cell_contents")
    except ValueError:  # an empty cell
        return


def _of_instance(value: Any) -> Iterator[tuple[Any, _Put]]:
    names: list[str] = []
    with contextlib.suppress(Exception):  # a proxy outside its context
        names += vars(value)
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    for name in names:
        try:
            child = object.__getattribute__(value, name)
        except AttributeError:
            continue  # a slot without a value
        yield child, partial(object.__setattr__, value, name)
