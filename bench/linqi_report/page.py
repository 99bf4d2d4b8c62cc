"""One self-contained HTML page: its own style, no script, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["Cell", "Section", "page", "table"]

_MOST_COLUMNS: Final = 2
Cell: TypeAlias = "str | tuple[str, str]"
"""Text, or text with a class, such as ok, warn and bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with what stands below it; `body` is HTML, `heading` and `figures` titles text."""

    heading: str
    body: str = ""
    figures: Sequence[tuple[str, str]] = ()
    """Pairs of a caption and an SVG."""
    after: str = ""
    """HTML below the figures."""
    anchor: str = ""
    """The id by which links within the page find it."""


def page(title: str, intro: str, sections: Sequence[Section], *, style: str = "") -> str:
    """Return the page; `intro` is HTML, `style` is CSS that follows that of every page."""
    style = Path(__file__).with_name("page.css").read_text("utf-8") + style
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>{intro}",
    ]
    for section in sections:
        anchor = f' id="{escape(section.anchor, quote=True)}"' if section.anchor else ""
        parts.append(f"<section{anchor}><h2>{escape(section.heading)}</h2>{section.body}")
        for caption, svg in section.figures:
            parts.append(
                f"<figure><figcaption>{escape(caption)}</figcaption>"
                f'<div class="wide">{svg}</div></figure>'
            )
        parts.append(f"{section.after}</section>")
    return "".join([*parts, "</main></body></html>\n"])


def table(columns: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table; a cell is text, or text with the class that colours it (ok, warn, bad).

    On a narrow page each row of a table with more than `_MOST_COLUMNS` is shown as a list, with the
    names of the columns, so that no column is out of sight.
    """
    is_stacked = len(columns) > _MOST_COLUMNS
    names = [column if isinstance(column, str) else column[0] for column in columns]
    head = "".join(_cell(column, "th") for column in columns)
    body = "".join(_row(row, names if is_stacked else []) for row in rows)
    kind = ' class="stacked"' if is_stacked else ""
    return (
        f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[Cell], names: Sequence[str]) -> str:
    named = [f' data-column="{escape(name, quote=True)}"' for name in names] or [""] * len(row)
    cells = (_cell(cell, "td", name) for cell, name in zip(row, named, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(cell: Cell, tag: str, attributes: str = "") -> str:
    if isinstance(cell, str):
        return f"<{tag}{attributes}>{escape(cell)}</{tag}>"
    text, kind = cell
    return f'<{tag} class="{escape(kind, quote=True)}"{attributes}>{escape(text)}</{tag}>'
