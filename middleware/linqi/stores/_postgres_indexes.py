"""The indexes of the PostgreSQL tables: those that are missing are built while workers go on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

__all__ = ["build_indexes", "index_steps"]

_WANTED: Final = {
    "linqi_sessions_by_state": "linqi_sessions (subject, revoked_at, started_at)",
    "linqi_revocations_by_end": "linqi_revocations (until)",
}
"""Those that an earlier release did not make, beside the ones of postgres.sql."""
_SUPERFLUOUS: Final = "linqi_sessions_by_subject"
_FOUND: Final = (
    "SELECT name, indisvalid, EXISTS (SELECT FROM pg_stat_progress_create_index"
    " WHERE index_relid = indexrelid) FROM unnest($1::text[]) AS name"
    " JOIN pg_index ON indexrelid = to_regclass(name)"
)
_POLL_SECONDS: Final = 0.2
_MOST_FAILURES: Final = 5


async def index_steps(connection: Any) -> list[str]:
    """Return the statements that are to be run, in their order; none if all indexes are ready.

    An index whose building was interrupted is invalid: it is deleted and built again.
    """
    found = {name: is_valid for name, is_valid, _ in await _found(connection)}
    steps = []
    for name, columns in _WANTED.items():
        if found.get(name) is False:
            steps.append(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        if not found.get(name):
            steps.append(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}")
    if _SUPERFLUOUS in found:
        steps.append(f"DROP INDEX CONCURRENTLY IF EXISTS {_SUPERFLUOUS}")
    return steps


async def build_indexes(connection: Any, tell: Callable[[str], object]) -> None:
    """Run the `index_steps`, each told before. Reads and writes of the tables go on meanwhile.

    It takes as long as the tables are large, and waits for transactions that began before. Several
    processes may call it. No lock keeps them apart, as a pooler would lose it: one waits while
    another builds, and if two begin at once, the server ends one of their attempts with an error.
    """
    failures = 0
    while True:
        while await _is_building(connection):  # noqa: ASYNC110 - by another process
            await asyncio.sleep(_POLL_SECONDS)
        steps = await index_steps(connection)
        if not steps:
            return
        tell(steps[0])
        try:
            await connection.execute(steps[0])
        except Exception as error:
            failures += 1
            if not hasattr(error, "sqlstate") or failures > _MOST_FAILURES:
                raise
            await asyncio.sleep(_POLL_SECONDS * (1 + random.random()))  # noqa: S311 - keeps apart


async def _is_building(connection: Any) -> bool:
    return any(is_built for _, _, is_built in await _found(connection))


async def _found(connection: Any) -> list[Any]:
    # In a transaction: a pooler may give the next statement another connection.
    await connection.execute("BEGIN")
    rows: list[Any] = await connection.fetch(_FOUND, [*_WANTED, _SUPERFLUOUS])
    await connection.execute("COMMIT")
    return rows
