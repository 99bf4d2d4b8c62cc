"""A table of figures on the terminal, with checks that pass or fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Row", "summarize"]

Row: TypeAlias = tuple[str, str, bool | None]
"""A figure, its value, and whether its check passed; None for a figure without a check."""


def summarize(console: Console, title: str, rows: Sequence[Row]) -> bool:
    """Print `rows` and return whether every check passed."""
    table = Table(title=title, title_justify="left")
    for column in ("Figure", "Measured", "Result"):
        table.add_column(column)
    for what, seen, holds in rows:
        table.add_row(what, Text(seen), "" if holds is None else "ok" if holds else "[red]FAILED")
    console.print(table)
    return all(holds is not False for _, _, holds in rows)
