"""The tables and indexes of a SQLite file, and how those of an earlier release become them."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Final

from linqi.errors import ConfigurationError
from linqi.stores.schema_state import SchemaState, newer_schema, this_release

__all__ = ["SQLITE_SCHEMA", "make_schema", "read_sqlite_schema"]

SQLITE_SCHEMA: Final = 2
"""``user_version`` of the file. It rises only with a change that workers of the release before
could not live with."""
_TABLES: Final = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, subject TEXT NOT NULL, counter INTEGER NOT NULL,
    parent INTEGER NOT NULL, rotated_at REAL NOT NULL, started_at REAL NOT NULL,
    expires_at REAL NOT NULL, ends_at REAL NOT NULL, revoked_at REAL NOT NULL, cause TEXT NOT NULL,
    claims TEXT NOT NULL, device TEXT NOT NULL, first_rotated_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE revocations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, value TEXT NOT NULL,
    at REAL NOT NULL, until REAL NOT NULL, spared TEXT NOT NULL
);
CREATE INDEX revocations_by_end ON revocations (until);
CREATE TABLE marks (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
_TO_2: Final = """
ALTER TABLE sessions ADD COLUMN first_rotated_at REAL NOT NULL DEFAULT 0;
UPDATE sessions SET first_rotated_at = rotated_at;
CREATE TABLE marks (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
"""From schema 1, whose rows lack the time of the parent's first rotation. That of the last rotation
takes its place: such a row can be recovered for longer, once."""
_BESIDE: Final = (
    "CREATE TABLE IF NOT EXISTS devices (owner TEXT PRIMARY KEY, ended_at REAL NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS devices_by_end ON devices (ended_at)",
    # A session that ended is found by no operation on the live ones of its subject.
    "CREATE INDEX IF NOT EXISTS sessions_by_state ON sessions (subject, revoked_at, started_at)",
    "DROP INDEX IF EXISTS sessions_by_subject",
)
"""Beside every schema: workers of an earlier release go on with it."""

_RELEASES: Final = "CREATE TABLE IF NOT EXISTS releases (version INTEGER PRIMARY KEY, release TEXT)"
"""Which release made which schema: an earlier one names it in its error."""


def make_schema(connection: sqlite3.Connection) -> None:
    """Create the tables, or bring those of an earlier release up to date, each step whole or not.

    Raises:
        ConfigurationError: A later release made the file; nothing was changed.

    """
    if _known_version(connection) < SQLITE_SCHEMA:
        connection.execute("BEGIN IMMEDIATE")
        before = _known_version(connection)  # another process may have been quicker
        if before < SQLITE_SCHEMA:
            for statement in (_TABLES if before == 0 else _TO_2).split(";"):
                connection.execute(statement)
            connection.execute(_RELEASES)
            connection.execute(
                "INSERT OR REPLACE INTO releases VALUES (?, ?)", (SQLITE_SCHEMA, this_release())
            )
            connection.execute(f"PRAGMA user_version = {SQLITE_SCHEMA}")
        connection.execute("COMMIT")
    for statement in _BESIDE:
        connection.execute(statement)


def read_sqlite_schema(connection: sqlite3.Connection) -> SchemaState:
    """Return what the schema is, and what `make_schema` would change.

    Raises:
        ConfigurationError: A later release made the file.

    """
    version = _known_version(connection)
    if version == 0:
        return SchemaState(version=0, steps=(f"create the tables of schema {SQLITE_SCHEMA}",))
    (rows,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
    waits = f": all writers wait, about 5 s for a million sessions; there are {rows:,}"
    steps = []
    if version < SQLITE_SCHEMA:
        steps.append(f"change schema {version} to {SQLITE_SCHEMA} in one transaction{waits}")
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    for statement in _BESIDE:
        verb, kind, *_, name = statement.partition(" (")[0].partition(" ON ")[0].split()
        if (name in found) == (verb == "DROP"):
            long = waits if name == "sessions_by_state" else ""
            steps.append(f"{verb.lower()} the {kind.lower()} {name}{long}")
    return SchemaState(version=version, steps=tuple(steps))


def _known_version(connection: sqlite3.Connection) -> int:
    """Return the file's schema, 0 if it has none; raise `ConfigurationError` if it is newer."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SQLITE_SCHEMA:
        maker = ""
        with contextlib.suppress(sqlite3.Error, TypeError):
            (maker,) = connection.execute(
                "SELECT release FROM releases WHERE version = ?", (version,)
            ).fetchone()
        raise ConfigurationError([newer_schema(version, SQLITE_SCHEMA, str(maker or ""))])
    return version
