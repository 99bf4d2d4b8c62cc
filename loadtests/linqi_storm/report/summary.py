"""What a run has shown, as a table that says whether it held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Row", "summarize"]

Row: TypeAlias = tuple[str, str, bool | None]
"""What was looked at, what was seen, and whether that must hold and did; None for mere facts."""


def summarize(console: Console, title: str, rows: Sequence[Row]) -> bool:
    """Print `rows`; tell whether all that must hold held."""
    table = Table(title=title, title_justify="left")
    for column in ("what", "seen", ""):
        table.add_column(column)
    for what, seen, holds in rows:
        table.add_row(what, Text(seen), "" if holds is None else "ok" if holds else "[red]FAILED")
    console.print(table)
    return all(holds is not False for _, _, holds in rows)
