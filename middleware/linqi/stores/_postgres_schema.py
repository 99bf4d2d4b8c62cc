"""The schema of the PostgreSQL store: what it is, and how it is made."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi.stores._postgres_indexes import index_steps
from linqi.stores.schema_state import SchemaState, newer_schema, this_release

__all__ = ["SCHEMA_LOCK", "SCHEMA_MAKER", "VERSION", "create_schema", "read_schema"]

VERSION: Final = 2
"""It rises only with a change that workers of the release before could not live with."""
SCHEMA_LOCK: Final = 0x6C696E7169
"""Held while a process changes the schema."""
_BESIDE_EVERY_SCHEMA: Final = ("postgres_functions.sql", "refresh.sql", "attempts.sql", "notes.sql")
"""They may be run again: workers of an earlier release go on with the functions that they know."""
_MADE: Final = re.compile(r"CREATE (?:UNLOGGED )?TABLE IF NOT EXISTS (\w+)")
_REPLACED: Final = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)")
_MADE_BY: Final = "linqi "
SCHEMA_MAKER: Final = "SELECT obj_description(to_regclass('linqi_schema'), 'pg_class')"
"""Returns the comment that names the release that made the schema; NULL if there is none."""


async def create_schema(connection: Any) -> int:
    """Create or migrate the schema in one transaction, and return its version.

    Each statement is one that PgBouncer in transaction mode passes on: none is prepared, and the
    lock belongs to the transaction. After an error the caller ends the connection.

    Raises:
        ConfigurationError: A later release made the schema; nothing was changed.

    """
    await connection.execute("BEGIN")
    await connection.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
    version = await _known_version(connection)
    if version < VERSION:
        await connection.execute(_sql("postgres.sql" if version == 0 else "postgres_1_to_2.sql"))
        maker = this_release().replace("'", "")
        await connection.execute(f"COMMENT ON TABLE linqi_schema IS '{_MADE_BY}{maker}'")
    for name in _BESIDE_EVERY_SCHEMA:
        await connection.execute(_sql(name))
    await connection.execute("COMMIT")
    return VERSION


async def read_schema(connection: Any) -> SchemaState:
    """Return what the schema is and lacks.

    Raises:
        ConfigurationError: A later release made it.

    """
    await connection.execute("BEGIN")
    version = await _known_version(connection)
    steps: list[str] = []
    if version == 0:
        steps.append(f"create the tables, functions and indexes of schema {VERSION}")
    elif version < VERSION:
        rows = await connection.fetchval(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class"
            " WHERE oid = to_regclass('linqi_sessions')"
        )
        steps.append(
            f"change schema {version} to {VERSION} in one transaction, which locks linqi_sessions"
            f" while it writes its {rows:,} rows again: stop the workers first"
        )
    if version:
        steps += await _missing(connection)
    await connection.execute("COMMIT")
    if version:
        steps += [f"{step}: workers go on meanwhile" for step in await index_steps(connection)]
    return SchemaState(version=version, steps=tuple(steps))


async def _missing(connection: Any) -> list[str]:
    """Return what is beside the schema in this release, and not in the database."""
    texts = [_sql(name) for name in _BESIDE_EVERY_SCHEMA]
    wanted = [name for text in texts for name in _MADE.findall(text)]
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL", wanted
    )
    steps = [f"create the table {name}" for (name,) in rows]
    rows = await connection.fetch(
        "SELECT proname, prosrc FROM pg_proc"
        " WHERE proname LIKE 'linqi\\_%' AND pg_function_is_visible(oid)"
    )
    found: dict[str, str] = dict(rows)
    made = [(name, text) for text in texts for name in _REPLACED.findall(text)]
    return steps + [
        f"create or replace the function {name}: no table is locked"
        for name, text in made
        if name not in found or found[name] not in text
    ]


async def _known_version(connection: Any) -> int:
    """Return the schema's version, 0 if there is none; raise if a later release made it."""
    if await connection.fetchval("SELECT to_regclass('linqi_schema')") is None:
        return 0
    version = int(await connection.fetchval("SELECT max(version) FROM linqi_schema"))
    if version > VERSION:
        comment = str(await connection.fetchval(SCHEMA_MAKER) or "")
        raise ConfigurationError([newer_schema(version, VERSION, comment.removeprefix(_MADE_BY))])
    return version


def _sql(name: str) -> str:
    return files("linqi.stores").joinpath(name).read_text("utf-8")
