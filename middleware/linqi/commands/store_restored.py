"""``linqi store restored``: ends the sessions of a restored backup, or trusts them for a while."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.named_store import open_named
from linqi.errors import ConfigurationError
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.restored import Restorable, RestoredSessions, end_restored
from linqi.sessions.store import SessionStore

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store restored sqlite:sessions.db --taken-at 2026-11-29T03:00:00Z",
            "end the sessions of the backup: their users sign in again",
        ),
        Example(
            "linqi store restored sqlite:sessions.db --taken-at 1795921200 --trust-sessions",
            "keep them, although sign-outs since then are lost",
        ),
    ],
    exits={
        0: "the sessions were ended, or are trusted",
    },
)

_ROTATIONS, _WEEK = 1_000, 7 * 86_400
_AHEAD_SECONDS: Final = 300.0
"""By how much the clock of the backup may be ahead of this one."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--taken-at",
        required=True,
        metavar="TIME",
        help="when the backup was complete, or the time to which the log was replayed: Unix"
        " seconds, or ISO 8601 with an offset, such as 2026-11-29T03:00:00Z",
    )
    parser.add_argument(
        "--trust-sessions",
        action="store_true",
        help="keep the sessions, although users who signed out since then are signed in again,"
        " and so is a thief whose session was revoked",
    )
    parser.add_argument(
        "--most-forgotten",
        type=int,
        metavar="N",
        help="with --trust-sessions: by how many rotations a client may be ahead of the backup"
        f" (default {_ROTATIONS:,})",
    )
    parser.add_argument(
        "--for-seconds",
        type=float,
        help=f"with --trust-sessions: for how long; as long as idle_seconds (default {_WEEK:,})",
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """End or trust the sessions and return 0; raise `LinqiError` if that was not completed."""
    now = clock()
    taken_at, faults = _taken_at(arguments.taken_at, now)
    faults += _trust_faults(arguments)
    store = None
    try:
        store = open_named(arguments.url, arguments.prefix)
        if not isinstance(store, Restorable):
            faults.append("memory: is empty after a restart; there is nothing to restore")
    except ConfigurationError as error:
        faults += error.faults
    if faults or not isinstance(store, Restorable):
        raise ConfigurationError(faults)
    sessions = store.restored()
    if arguments.trust_sessions:
        asyncio.run(_trust(store, sessions, arguments))
    else:
        asyncio.run(_end(store, sessions, taken_at, now))
    return 0


async def _end(
    store: SessionStore, sessions: RestoredSessions, taken_at: float, now: float
) -> None:
    await store.start()
    ended, is_complete = 0, False
    try:
        async for part in end_restored(store, sessions, taken_at, now=now):
            ended += part.ended
        is_complete = True
    finally:
        await store.close()
        if not is_complete:
            print(f"NOT COMPLETE: ended {ended:,} sessions; run it again", flush=True)
    print(
        f"ended {ended:,} sessions that the backup of {_shown(taken_at)} contained; access tokens"
        " of sessions that began before the restore are refused"
    )


async def _trust(
    store: SessionStore, sessions: RestoredSessions, arguments: argparse.Namespace
) -> None:
    rotations = _ROTATIONS if arguments.most_forgotten is None else arguments.most_forgotten
    seconds = _WEEK if arguments.for_seconds is None else arguments.for_seconds
    await store.start()
    try:
        await sessions.allow_forgotten(rotations, seconds)
        until = store.now() + seconds
    finally:
        await store.close()
    print(
        f"the sessions are kept; until {_shown(until)} clients may be up to {rotations:,} rotations"
        " ahead of them. Sign-outs since the backup are lost"
    )


def _taken_at(text: str, now: float) -> tuple[float, list[str]]:
    """Return the instant in `text`, and what is wrong with it."""
    try:
        at = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = datetime.min
        if moment.tzinfo is None:
            expected = "Unix seconds, or a date and time with an offset: 2026-11-29T03:00:00Z"
            return 0.0, [f"--taken-at is {text!r}, expected {expected}"]
        at = moment.timestamp()
    if not 0 < at <= now + _AHEAD_SECONDS:
        return 0.0, [f"--taken-at is {text!r}, expected a time in the past, in seconds"]
    return at, []


def _trust_faults(arguments: argparse.Namespace) -> list[str]:
    most, seconds = arguments.most_forgotten, arguments.for_seconds
    faults = []
    if not arguments.trust_sessions and (most, seconds) != (None, None):
        faults.append(
            "--most-forgotten and --for-seconds need --trust-sessions: no ended session goes on"
        )
    if most is not None and most not in (allowed := SessionSettings.RANGES["most_forgotten"]):
        faults.append(f"--most-forgotten is {most}, expected {allowed}")
    if seconds is not None and not 0 < seconds <= 366 * 86_400:
        faults.append(f"--for-seconds is {seconds:g}, expected up to 366 days in seconds")
    return faults


def _shown(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
