"""The workload that the options ``--workload``, ``--gaps`` and ``--path`` describe.

A distribution may register further kinds of ``--gaps KIND:PLACE`` by entry points of the group
`GROUP`: functions that return the workload at a place.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from typing import Final, TypeAlias

from linqi import ConfigurationError
from linqi_storm.schema.workload import Workload, read_workload

__all__ = ["GROUP", "ReadWorkload", "workload_of"]

GROUP: Final = "linqi.workloads"
"""The entry-point group of sources of workloads; each names a `ReadWorkload`."""

ReadWorkload: TypeAlias = Callable[[str], Workload]
"""Returns the workload at a place, which is what follows the colon."""

_LAWS: Final = ("exponential", "reading", "measured")


def workload_of(
    file: Path | None, gaps: str | None, *, path: str = "", mean: float | None = None
) -> Workload | None:
    """Return the workload that the options describe, in real seconds; None if they name none.

    Args:
        file: The file of ``--workload``.
        gaps: The value of ``--gaps``.
        path: If not empty, all requests are for this page; the number per page stays.
        mean: The mean pause to scale all pauses to, in seconds; None for pauses as measured.

    Raises:
        ConfigurationError: If the options contradict each other, or name no workload.

    """
    found = _read(file, gaps)
    if found is None:
        return None
    if mean is not None:
        spread = found.login_spread_seconds
        found = found.scaled(mean / found.pauses.mean).with_login_spread(spread)
    return found.on_path(path) if path else found


def _read(file: Path | None, gaps: str | None) -> Workload | None:
    kind, _, place = (gaps or "").partition(":")
    is_source = bool(kind) and kind not in _LAWS
    if file is not None and gaps is not None:
        raise ConfigurationError(["--workload has its own pauses, expected no --gaps beside it"])
    if file is not None:
        return read_workload(file)
    return _source(kind, entry_points(group=GROUP))(place) if is_source else None


def _source(kind: str, registered: EntryPoints) -> ReadWorkload:
    """Return the source of workloads that is registered as `kind`."""
    if kind not in registered.names:
        known = ", ".join(
            [*_LAWS[:2], "measured:FILE", *(f"{name}:FILE" for name in registered.names)]
        )
        raise ConfigurationError(
            [f"the distribution of gaps is {kind!r}, expected one of: {known}"]
        )
    source: ReadWorkload = registered[kind].load()
    return source
