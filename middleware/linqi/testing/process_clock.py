"""Moves the time of everything in this process that belongs to the library."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any, Final

from linqi.testing.adoption import live_objects, load_all, replace_held
from linqi.testing.clock import Clock
from linqi.testing.faults import CannotTest, ClockNotMoved

__all__ = ["ProcessClock", "install", "moved_time", "uninstall"]

_SERVERS: Final = {
    "linqi.stores.valkey.ValkeyStore": ("Valkey", "_client"),
    "linqi.stores._postgres_connections.PostgresConnections": ("PostgreSQL", "_pool"),
}
"""The stores whose server has the clock, and the attribute that has their connections."""
_HOLD: Final = "linqi.asgi.token_hold.TokenHold"


class ProcessClock:
    """The time of everything in this process that belongs to the library.

    It runs on between two moves. Called, it returns Unix seconds. `moved_time` makes it, and the
    pytest fixture ``linqi_clock`` returns it.

    All objects of the library that live now, and all that are made later, read it: verifiers,
    caches, key sets, sessions, throttles, background tasks. The clock of the event loop, of the
    application's own code and of other processes is not touched.
    """

    def __init__(self) -> None:
        self._clock = Clock()
        real = time.time, time.monotonic, asyncio.sleep
        moved = self._clock.__call__, self._clock.monotonic, self._clock.sleep
        self._moved = {id(old): new for old, new in zip(real, moved, strict=True)}
        self._restored = {id(new): old for old, new in zip(real, moved, strict=True)}
        self._kept = real + moved  # as long as their ids are keys
        self._is_used = False

    def __call__(self) -> float:
        """Return the instant in Unix seconds."""
        return self._clock()

    @property
    def now(self) -> float:
        """The instant in Unix seconds."""
        return self._clock()

    def advance(self, seconds: float) -> None:
        """Move by `seconds`; a negative number sets the wall clock back, as an operator may.

        Background tasks that have waited for long enough go on at once, and open WebSockets and
        event streams whose token is over are closed.

        Raises:
            ClockNotMoved: A store in use has its clock in a server.
            ConfigurationError: `seconds` is not a number of at most 100 years.

        """
        holds = self._adopt()
        self._clock.advance(seconds)
        for hold in holds:
            _check_now(hold)

    def move_to(self, instant: float) -> None:
        """Move to `instant`, in Unix seconds, such as an ``exp``; raises what `advance` does."""
        self.advance(instant - self._clock())

    def install(self) -> None:
        """Make all objects of the library read this clock."""
        load_all()
        self._pass()

    def uninstall(self) -> None:
        """Restore the real clocks of all objects of the library."""
        for one, name in live_objects():
            replace_held(one, name, self._restored, self._restored)

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Reserve the clock for one test, and set it to the real time at the end.

        Monotonic clocks keep what they were moved by, because they never step back.
        """
        if self._is_used:
            raise CannotTest("the time of this process is moved by another test already")
        self._is_used = True
        try:
            self._adopt()
            yield
        finally:
            self._is_used = False
            self._clock.return_to_the_time()
            _forget_memos()

    def _adopt(self) -> list[Any]:
        """Move what was made meanwhile too; return the open holds of tokens."""
        holds, servers = self._pass()
        if servers:
            gc.collect()  # a store of an earlier test
            holds, servers = self._pass()
        if servers:
            raise ClockNotMoved(
                f"the application has a store in {' and '.join(sorted(servers))}, which judges"
                " sessions by the clock of its server, and no test can move that: use memory: or"
                " sqlite: where a test moves time, or make tokens with near_expiry=True or"
                " expired=True"
            )
        return holds

    def _pass(self) -> tuple[list[Any], set[str]]:
        holds, servers = [], set()
        outside = _without_monotonic(self._moved)
        for one, name in live_objects():
            replace_held(one, name, self._moved, outside)
            if name == _HOLD and type(one).__name__ == "TokenHold":
                holds.append(one)
            elif name in _SERVERS and _is_connected(one, _SERVERS[name][1]):
                servers.add(_SERVERS[name][0])
        return holds, servers

    def __repr__(self) -> str:
        return f"<ProcessClock {self._clock.ahead:+.3f} s>"


_installed: list[ProcessClock] = []


def install() -> ProcessClock:
    """Return the clock of this process, after making everything of the library read it."""
    if not _installed:
        clock = ProcessClock()
        clock.install()
        _installed.append(clock)
    return _installed[0]


def uninstall() -> None:
    """Restore all real clocks; nothing happens if there are no others."""
    while _installed:
        _installed.pop().uninstall()


@contextlib.contextmanager
def moved_time() -> Iterator[ProcessClock]:
    """Return the clock of this process for a ``with`` block, for tests without pytest.

    Enter it before the application starts: a background task that waits already is not woken by
    a move.

    Raises:
        CannotTest: Another test moves the time now.

    """
    is_first = not _installed
    clock = install()
    try:
        with clock.used():
            yield clock
    finally:
        if is_first:
            uninstall()


def _without_monotonic(changes: dict[int, Any]) -> dict[int, Any]:
    return {old: new for old, new in changes.items() if old != id(time.monotonic)}


def _is_connected(store: Any, attribute: str) -> bool:
    """Return whether `store` has connections on an event loop that is not closed."""
    loop = getattr(store, "_loop", None)
    return loop is not None and not loop.is_closed() and getattr(store, attribute) is not None


def _check_now(hold: Any) -> None:
    """Make an open connection check its token now, by its own event loop."""
    changed = hold._changed
    loop = getattr(changed, "_loop", None)
    if loop is not None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(changed.set)


def _forget_memos() -> None:
    """Empty what remembers successors by the wall clock, which has just been set back."""
    for one, name in live_objects():
        if name == "linqi.sessions.sliding.SlidingRenewal" and hasattr(one, "_memo"):
            one._memo.clear()
