"""The server behind a connection to PostgreSQL, and what its commits wait for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["PostgresServer", "durability_fault", "durability_warnings", "read_server"]

_STANDBYS: Final = re.compile(r"\s*(?:(?:ANY|FIRST)\s+)?(\d+)\s*\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """What tells one server from another, and what its commits wait for."""

    started_at: object
    """When it was started; of two servers that are copies of each other, all else may be equal."""
    synchronous_commit: str
    standby_names: str
    """The setting ``synchronous_standby_names``."""

    @property
    def replicas(self) -> int:
        """For how many standbys a commit of this role waits."""
        if self.synchronous_commit in ("off", "local") or not self.standby_names.strip():
            return 0
        found = _STANDBYS.match(self.standby_names)
        return int(found[1]) if found else 1  # a list of names means FIRST 1


async def read_server(connection: Any) -> PostgresServer:
    """Return the server of `connection`."""
    (row,) = await connection.fetch(
        "SELECT pg_postmaster_start_time(), current_setting('synchronous_commit'),"
        " current_setting('synchronous_standby_names')"
    )
    return PostgresServer(started_at=row[0], synchronous_commit=row[1], standby_names=row[2])


def durability_fault(server: PostgresServer, min_replicas: int) -> str | None:
    """Return why commits on `server` do not wait for `min_replicas` standbys, and the remedy."""
    if server.replicas >= min_replicas:
        return None
    remedy = (
        f"ALTER SYSTEM SET synchronous_standby_names = 'ANY {min_replicas} (*)';"
        " SELECT pg_reload_conf()"
    )
    if server.synchronous_commit in ("off", "local"):
        remedy = "ALTER ROLE ... SET synchronous_commit = on"
    return (
        f"commits wait for {server.replicas} standbys (synchronous_commit ="
        f" {server.synchronous_commit}, synchronous_standby_names = '{server.standby_names}'),"
        f" min_replicas is {min_replicas}: run {remedy}"
    )


def durability_warnings(server: PostgresServer, hosts: int) -> list[str]:
    """Return what `server` may lose after it was acknowledged; the URL names so many `hosts`."""
    if server.synchronous_commit == "off":
        return [
            "synchronous_commit is off: a crash of PostgreSQL loses sign-outs that were"
            " acknowledged; run ALTER ROLE ... SET synchronous_commit = on"
        ]
    if hosts > 1 and server.replicas == 0:
        return [
            f"the URL names {hosts} hosts of PostgreSQL, and commits wait for none: a failover"
            " loses sign-outs that were acknowledged; set synchronous_standby_names, and"
            " min_replicas = 1 to have it checked"
        ]
    return []
