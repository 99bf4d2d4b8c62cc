"""What is asked of a PostgreSQL database when a worker starts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from linqi.stores._postgres_schema import SCHEMA_MAKER, VERSION
from linqi.stores.schema_state import newer_schema

__all__ = ["GRANTS", "start_faults"]

_Fetch: TypeAlias = Callable[..., Awaitable[list[Any]]]

GRANTS: Final = {
    "linqi_sessions": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "linqi_revocations": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "linqi_marks": ("SELECT", "INSERT", "UPDATE"),
    "linqi_devices": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "linqi_attempts": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "linqi_notes": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "linqi_schema": ("SELECT",),
}
"""What the role of the workers may do with each table; functions run with its own rights."""
_SEARCH_PATH: Final = re.compile(r"search_path=(\S+)")


async def start_faults(fetch: _Fetch, settings: Mapping[str, str]) -> list[str]:
    """Return why a worker cannot use the database, each with the remedy.

    Args:
        fetch: Returns the rows of a statement with its parameters.
        settings: What the URL asks of the server.

    """
    return await _search_path_faults(fetch, settings) or await _schema_faults(fetch)


async def _search_path_faults(fetch: _Fetch, settings: Mapping[str, str]) -> list[str]:
    """Return a fault if a pooler dropped the setting: the tables would be another application's."""
    found = _SEARCH_PATH.search(settings.get("options", ""))
    asked = found[1] if found else settings.get("search_path", "")
    if not asked:
        return []
    ((is_set,),) = await fetch(
        "SELECT translate(current_setting('search_path'), '\" ', '') = translate($1, '\" ', '')",
        asked,
    )
    if is_set:
        return []
    return [
        "search_path of the URL has no effect, as behind a pooler that ignores it: run"
        " ALTER ROLE ... SET search_path instead"
    ]


async def _schema_faults(fetch: _Fetch) -> list[str]:
    """Return faults of the schema, then those of the role's grants."""
    needs = [(table, right) for table, rights in GRANTS.items() for right in rights]
    rows = await fetch(
        "SELECT quote_ident(current_user), name, privilege, to_regclass(name) IS NULL"
        " FROM unnest($1::text[], $2::text[]) AS need (name, privilege)"
        " WHERE to_regclass(name) IS NULL OR NOT has_table_privilege(to_regclass(name), privilege)"
        " UNION ALL SELECT quote_ident(current_user), p.oid::regprocedure::text, 'EXECUTE', false"
        " FROM pg_proc AS p WHERE proname LIKE 'linqi\\_%' AND pg_function_is_visible(p.oid)"
        " AND NOT has_function_privilege(p.oid, 'EXECUTE')",
        *map(list, zip(*needs, strict=True)),
    )
    lacking = {(name, right): is_absent for _, name, right, is_absent in rows}
    role = rows[0][0] if rows else ""
    version = 0
    if ("linqi_schema", "SELECT") not in lacking:
        ((version,),) = await fetch("SELECT max(version) FROM linqi_schema")
    elif not lacking["linqi_schema", "SELECT"]:
        version = VERSION  # unless it is not: then it is told once the grant is there
    if version > VERSION:
        ((comment,),) = await fetch(SCHEMA_MAKER)
        return [newer_schema(version, VERSION, str(comment or "").removeprefix("linqi "))]
    if version != VERSION:
        hint = f", or GRANT USAGE ON the SCHEMA of the tables TO {role}" if version == 0 else ""
        text = f"the database has schema {version}, expected {VERSION}; run linqi store init"
        return [text + hint]
    if absent := sorted({name for (name, _), is_absent in lacking.items() if is_absent}):
        return [f"the database lacks {', '.join(absent)}; run linqi store init"]
    return [
        f"the role lacks a grant: GRANT {right} ON"
        f" {'FUNCTION ' if right == 'EXECUTE' else ''}{name} TO {role}"
        for name, right in lacking
    ]
