"""Finds the clocks that live objects of the library hold, and replaces them."""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import FunctionType, MemberDescriptorType
from typing import Any, Final

__all__ = ["OUTSIDE", "live_objects", "load_all", "replace_held"]

OUTSIDE: Final = {
    "linqi.sessions.revocation.Revocations": "whether the feed of the store still answers",
    "linqi.stores._redis_pools._Looks": "how often the sentinels are asked",
    "linqi.stores._sqlite_file.connect": "how long another process may lock the file",
    "linqi.stores._store_clock.StoreClock": "the clock of a server, which no test moves",
}
"""What counts real time by its monotonic clock, and why: something outside decides it."""

_ROOMS: Final = ("asgi", "client", "config", "jose", "jwks", "sessions", "stores", "testing")
_DRIVERS: Final = (
    *("valkey", "redis", "sentinel", "postgres", "asyncpg", "httpx", "shared_file"),
    "pytest",  # the clock works in a test runner without it, as in `manage.py test`
)
_MINE: Final = "linqi.testing.clock"


def load_all() -> None:
    """Import the modules that take a clock, so that none has an old default later.

    Without those of drivers and clients, which take a second and are found once they are imported.
    """
    for room in _ROOMS:
        package = importlib.import_module(f"linqi.{room}")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not any(driver in found.name for driver in _DRIVERS):
                importlib.import_module(found.name)


def live_objects() -> Iterator[tuple[Any, str]]:
    """Yield each live object and function of the library, with the name of its class or itself.

    An object of a subclass that an application defined has the name of the library's class.
    """
    names: dict[type, str] = {}
    for one in gc.get_objects():
        kind = type(one)  # never isinstance: a proxy would answer for what it stands for
        if kind is FunctionType:
            module = one.__module__
            if type(module) is str and _is_ours(module):
                yield one, f"{module}.{one.__qualname__.partition('.')[0]}"
            continue
        name = names.get(kind)
        if name is None:
            name = names[kind] = _name_of(kind)
        if name:
            yield one, name


def replace_held(
    one: Any, name: str, changes: Mapping[int, Any], outside: Mapping[int, Any]
) -> None:
    """Replace the clocks that `one` holds: by `changes`, or by `outside` if `name` is `OUTSIDE`.

    Args:
        one: The object or function, from `live_objects`.
        name: Its name there.
        changes: The new clocks by the ``id`` of the old ones.
        outside: The same, for what counts real time by its monotonic clock.

    """
    chosen = outside if name in OUTSIDE else changes
    if type(one) is FunctionType:
        _replace_defaults(one, chosen)
        return
    for read, write in _attributes(one):
        value = read()
        new = chosen.get(id(value))
        if new is not None:
            write(new)
        elif type(value).__module__.startswith("cachetools"):
            _replace_timer(value, chosen)


def _attributes(one: Any) -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Yield how each attribute of `one` is read and written, also of a frozen one."""
    for base in type(one).__mro__:
        for slot in tuple(vars(base).values()):
            if type(slot) is MemberDescriptorType:
                with contextlib.suppress(AttributeError):
                    slot.__get__(one)
                    yield _reader(slot, one), _writer(slot, one)
    held = getattr(one, "__dict__", None)
    if type(held) is dict:
        for name in tuple(held):
            yield lambda name=name: held.get(name), lambda new, name=name: _put(held, name, new)  # type: ignore[misc]


def _reader(slot: MemberDescriptorType, one: Any) -> Callable[[], Any]:
    return lambda: slot.__get__(one)


def _writer(slot: MemberDescriptorType, one: Any) -> Callable[[Any], object]:
    return lambda new: slot.__set__(one, new)


def _put(held: MutableMapping[str, Any], name: str, new: Any) -> None:
    held[name] = new


def _replace_defaults(function: FunctionType, changes: Mapping[int, Any]) -> None:
    named = function.__kwdefaults__ or {}
    for name, value in tuple(named.items()):
        if (new := changes.get(id(value))) is not None:
            named[name] = new
    if function.__defaults__:
        found = [changes.get(id(value)) for value in function.__defaults__]
        if any(new is not None for new in found):
            pairs = zip(found, function.__defaults__, strict=True)
            function.__defaults__ = tuple(old if new is None else new for new, old in pairs)
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty cell
            if (new := changes.get(id(cell.cell_contents))) is not None:
                cell.cell_contents = new


def _replace_timer(cache: Any, changes: Mapping[int, Any]) -> None:
    """Replace the timer of a cache of cachetools, which wraps it."""
    wrapper = getattr(cache, "timer", None)
    held = getattr(wrapper, "__dict__", {})
    for name, value in tuple(held.items()):
        if (new := changes.get(id(value))) is not None:
            cache.clear()  # its entries are in the order of one clock
            held[name] = new


def _name_of(kind: type) -> str:
    """Return the full name of the library's class that `kind` is or extends; empty if none."""
    for base in type.mro(kind) if kind is not type else ():
        module = base.__dict__.get("__module__", "")
        if type(module) is str and _is_ours(module):
            return f"{module}.{base.__qualname__}"
    return ""


def _is_ours(module: str) -> bool:
    return module.startswith("linqi.") and module != _MINE
