"""``linqi store backup``: copies a SQLite file while workers write to it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.named_store import open_named
from linqi.errors import ConfigurationError
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store backup sqlite:sessions.db /backups/sessions-2026-11-29.db",
            "copy the file while workers write to it",
        ),
    ],
    exits={
        0: "the copy is complete",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("to", type=Path, help="the file to write; it must not exist")


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Copy the file, print when the copy was complete, and return 0.

    Raises:
        ConfigurationError: The store is not a SQLite file, or the copy exists already.
        OSError: A file cannot be read or written; no copy is left.

    """
    store, to = open_named(arguments.url, arguments.prefix), arguments.to
    if not isinstance(store, SQLiteStore):
        how = (
            "pg_dump or a base backup" if isinstance(store, PostgresStore) else "BGSAVE or its AOF"
        )
        raise ConfigurationError([f"only SQLite files are copied; for this store use {how}"])
    if to.exists():
        raise ConfigurationError([f"{to} exists; name a file that does not"])
    part = to.with_name(f"{to.name}.{token_hex(4)}.part")  # not that of another backup at work
    try:
        sessions = _copy(store.path, part)
        taken_at = datetime.fromtimestamp(int(clock()) + 1, UTC).isoformat()
        os.replace(part, to)
    except sqlite3.Error as error:
        raise OSError(f"{store.path} was not copied to {to}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    print(f"copied {sessions:,} sessions to {to}, complete at {taken_at}; after a restore run:")
    print(f"linqi store restored {shlex.quote(arguments.url)} --taken-at {taken_at}")
    return 0


def _copy(path: Path, part: Path) -> int:
    """Copy the file in one read transaction, which no writer waits for; return its sessions."""
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")
        (sessions,) = copy.execute("SELECT count(*) FROM sessions").fetchone()
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    return int(sessions)
