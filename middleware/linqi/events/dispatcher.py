"""The dispatcher of events to hooks; no error of a hook has any effect."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeGuard, TypeVar, runtime_checkable

from linqi.errors import ConfigurationError

__all__ = ["Dispatcher", "VerboseHook"]

_logger = logging.getLogger("linqi")
_T = TypeVar("_T")


@runtime_checkable
class VerboseHook(Protocol):
    """A hook that also receives `RenewalNotDue` while ``is_verbose()`` is true."""

    def __call__(self, event: Any) -> None:
        """Receive `event`."""
        ...

    def is_verbose(self) -> bool:
        """Return whether `RenewalNotDue` is wanted now."""
        ...


class Dispatcher(Generic[_T]):
    """Calls every hook with each event; an error of a hook is logged and has no other effect.

    All hooks in linqi are called through a dispatcher, so that no request, rotation or background
    task depends on them.

    Attributes:
        verbose: The hooks that may receive `RenewalNotDue`.

    """

    def __init__(self, hooks: Iterable[Callable[[_T], object]] = ()) -> None:
        """Call `hooks` in this order.

        Raises:
            ConfigurationError: A hook cannot be called, or is a coroutine function, which nothing
                would await.

        """
        self._hooks: tuple[Callable[[_T], object], ...] = ()
        self.verbose: tuple[VerboseHook, ...] = ()
        self.add(*hooks)

    def __len__(self) -> int:
        return len(self._hooks)

    def add(self, *hooks: Callable[[_T], object]) -> None:
        """Call `hooks` too from now on; an equal hook (``==``) is not added twice.

        Raises:
            ConfigurationError: As for the constructor.

        """
        if faults := [fault for hook in hooks if (fault := _fault_of(hook))]:
            raise ConfigurationError(faults)
        for hook in hooks:
            if hook not in self._hooks:
                self._hooks = (*self._hooks, hook)
        self.verbose = tuple(hook for hook in self._hooks if _is_verbose_hook(hook))

    def __call__(self, event: _T) -> None:
        """Call every hook with `event`."""
        for hook in self._hooks:
            _call(hook, event)

    def is_verbose(self) -> bool:
        """Return whether any hook is verbose now; one that raises is not."""
        for hook in self.verbose:
            try:
                if hook.is_verbose():
                    return True
            except _faults():
                _logger.exception("is_verbose of the hook %s raised", _name_of(hook))
        return False

    def if_verbose(self, make: Callable[[], object]) -> None:
        """Call the hooks that are verbose now with ``make()``, called only if there is one."""
        event = None
        for hook in self.verbose:
            try:
                is_wanted = hook.is_verbose()
            except _faults():
                _logger.exception("is_verbose of the hook %s raised", _name_of(hook))
                continue
            if is_wanted:
                event = event or make()
                _call(hook, event)


def _faults() -> tuple[type[BaseException], ...]:
    """Return what a hook may raise without effect; asyncio is imported by the first fault only."""
    import asyncio

    return Exception, asyncio.CancelledError


def _call(hook: Callable[[Any], object], event: object) -> None:
    try:
        answer = hook(event)
        if answer is not None and inspect.iscoroutine(answer):
            answer.close()  # or Python warns about it later, without the name of the hook
            _logger.error(
                "the hook %s returned a coroutine on %s, which nothing awaits: it did nothing",
                _name_of(hook),
                type(event).__name__,
            )
    except _faults():
        # A task is never cancelled during a plain call: the hook itself raised CancelledError.
        _logger.exception("the hook %s raised on %s", _name_of(hook), type(event).__name__)


def _is_verbose_hook(hook: Any) -> TypeGuard[VerboseHook]:
    return isinstance(hook, VerboseHook)


def _fault_of(hook: Any) -> str:
    """Return the fault of `hook`, or an empty text."""
    if not callable(hook):
        return f"the hook {_name_of(hook)} cannot be called"
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
        return f"the hook {_name_of(hook)} is a coroutine function; nothing would await it"
    return ""


def _name_of(hook: object) -> str:
    """Return a name of `hook` for the log, without calling any code of it."""
    name = getattr(hook, "__qualname__", None)
    return name if isinstance(name, str) else type(hook).__qualname__
