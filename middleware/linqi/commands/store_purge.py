"""``linqi store purge``: deletes what is over, with progress, beside workers at work."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.named_store import open_named
from linqi.errors import ConfigurationError
from linqi.sessions.purge_pace import PurgePace
from linqi.sessions.store import CountsEnded, SessionStore
from linqi.stores.memory import MemoryStore

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store purge sqlite:sessions.db", "delete all ended sessions and revocations"
        ),
        Example(
            "linqi store purge postgresql://app@db.internal/shop --per-second 500 --most 100000",
            "slowly, and not all of them",
        ),
    ],
    exits={
        0: "what is over was deleted, or --most of it",
        1: "some of it is locked; run it again",
    },
)

_COUNTED: Final = 1_000_000
_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 10.0
"""From one line of progress to the next."""
_TRIES: Final = 20
"""How often in a row the purge may delete nothing although something is over."""


@dataclass(slots=True)
class _Progress:
    began: float
    now: float
    left: int | None = None
    """How many rows were over at the beginning; None if they were not counted."""
    deleted: int = 0
    is_complete: bool = False
    told_at: float = -math.inf

    def rate(self) -> float:
        """Return the rows deleted in a second."""
        return self.deleted / max(self.now - self.began, 1e-3)

    def line(self) -> str:
        """Return the progress in words."""
        text = f"deleted {self.deleted:,} ended rows, {self.rate():,.0f} a second"
        if self.is_complete or self.left is None:
            return text
        left = max(self.left - self.deleted, 0)
        over = "more than " if self.left >= _COUNTED else ""
        return f"{text}, {over}{left:,} left"

    def json(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(
            {
                "deleted": self.deleted,
                "seconds": round(self.now - self.began, 3),
                "per_second": round(self.rate(), 1),
                "is_complete": self.is_complete,
            }
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--per-second",
        type=float,
        default=math.inf,
        metavar="ROWS",
        help="delete at most so many rows a second (default: as fast as a quarter of the time"
        " allows, so that the workers have the rest)",
    )
    parser.add_argument(
        "--most", type=int, metavar="ROWS", help="stop after so many rows, or a few hundred more"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(
    arguments: argparse.Namespace,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Delete what is over and return 0; 1 if some of it cannot be deleted.

    Each step is a transaction: after Ctrl-C, what was deleted until then is deleted.
    """
    faults = []
    if not arguments.per_second > 0:
        faults.append(f"--per-second is {arguments.per_second:g}, expected more than 0")
    if arguments.most is not None and arguments.most < 1:
        faults.append(f"--most is {arguments.most}, expected at least 1")
    if faults:
        raise ConfigurationError(faults)
    store = open_named(arguments.url, arguments.prefix)
    if isinstance(store, MemoryStore):
        raise ConfigurationError(
            ["memory: has no sessions of another process; there is nothing to delete"]
        )
    progress = _Progress(began=monotonic(), now=monotonic())
    try:
        asyncio.run(_purge(store, arguments, progress, clock, monotonic))
    except KeyboardInterrupt:
        _show(progress, arguments, "interrupted: ")
        raise
    if not isinstance(store, CountsEnded) and not arguments.json:
        print("Valkey deletes ended sessions itself; revocations that are over were trimmed")
        return 0
    stopped = "" if progress.is_complete or arguments.most else "the rest is locked: "
    _show(progress, arguments, stopped)
    return int(bool(stopped))


def _show(progress: _Progress, arguments: argparse.Namespace, why: str) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    print(progress.json() if arguments.json else why + progress.line(), flush=True)


async def _purge(
    store: SessionStore,
    arguments: argparse.Namespace,
    progress: _Progress,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> None:
    await store.start()
    try:
        now = min(clock(), store.now())
        if not isinstance(store, CountsEnded):
            await store.purge(now, _COUNTED)
            progress.is_complete = True
            return
        progress.left = await store.count_ended(now, _COUNTED)
        pace, tries = PurgePace(per_second=arguments.per_second), 0
        most = arguments.most or math.inf
        while tries < _TRIES and progress.deleted < most:
            now = min(clock(), store.now())
            began = monotonic()
            deleted = await store.purge(now, int(min(pace.most, most - progress.deleted)))
            progress.deleted, progress.now = progress.deleted + deleted, monotonic()
            pace = pace.after(deleted, progress.now - began)
            if not pace.is_behind and not await store.count_ended(now, 1):
                progress.is_complete = True
                return
            _tell(progress, arguments)
            # Nothing, although something is over: another worker deletes, or a row is locked.
            tries = 0 if deleted else tries + 1
            await asyncio.sleep(pace.pause if deleted else 0.1)
    finally:
        await store.close()


def _tell(progress: _Progress, arguments: argparse.Namespace) -> None:
    """Write a line of progress from time to time: over the last one on a terminal."""
    is_terminal = sys.stderr.isatty()
    if progress.now - progress.told_at < (_TERMINAL_SECONDS if is_terminal else _LOG_SECONDS):
        return
    progress.told_at = progress.now
    if is_terminal:
        print(f"\r\x1b[K{progress.line()}", end="", file=sys.stderr, flush=True)
    elif not arguments.json:
        print(progress.line(), file=sys.stderr, flush=True)
