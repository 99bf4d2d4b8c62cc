"""What a store writes to its disk, and the CPU time of its server's processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["cpu_of_postgresql", "cpu_of_valkey", "disk_writes"]

_DISKS: Final = Path("/proc/diskstats")


def disk_writes(folder: Path) -> float | None:
    """Return the writes of all processes that the disk of `folder` completed; None if unknown."""
    device = folder.stat().st_dev
    if _DISKS.exists():
        for line in _DISKS.read_text("ascii").splitlines():
            major, minor, _, *counts = line.split()
            if (int(major), int(minor)) == (os.major(device), os.minor(device)):
                return float(counts[4])
    return None


async def cpu_of_valkey(url: str) -> float | None:
    """Return the CPU microseconds that the server at `url` has used."""
    from redis.asyncio import Redis

    async with Redis.from_url(url) as client:
        info = await client.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"]) * 1e6


async def cpu_of_postgresql(dsn: str) -> float | None:
    """Return the CPU microseconds of the server's processes; None if they are not on this machine.

    Those of a connection that has ended count for the process that started it.
    """
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        own = await connection.fetchval("SELECT pg_backend_pid()")
        processes = {pid: stat for pid in _pids() if (stat := _stat(pid)) is not None}
        if own not in processes or processes[own][0] != "postgres":
            return None
        first = int(processes[own][2])
        ticks = sum(
            sum(map(int, stat[12:14]))
            for pid, stat in processes.items()
            if pid == first or int(stat[2]) == first
        ) + sum(map(int, processes[first][14:16]))
    finally:
        await connection.close()
    return ticks / os.sysconf("SC_CLK_TCK") * 1e6


def _pids() -> list[int]:
    if not Path("/proc").exists():
        return []
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """Return name, state, parent, ... of a process, as in proc(5); None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return [name, *rest.split()]
