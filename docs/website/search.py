"""Let the search find names: each code, setting, metric, event and log line of a table by itself.

The index has one entry for each heading, so a name in a long table is one word of many there, and
pages that have its parts in their titles come first.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

# Pages whose tables have one name a row, with the column that has it.
COLUMNS = {
    "guides/configuration/": 0,
    "guides/events/": 0,
    "guides/sessions/": 0,
    "guides/transports/": 0,
    "operate/": 2,
    "reference/metrics/": 0,
    "reference/refusals/": 0,
}
PART = re.compile(
    r"<h[2-6] id=\"(?P<section>[^\"]+)\""
    r"|<p><strong><code>\[+(?P<table>[\w.-]+)\]+</code></strong></p>"
    r"|<tr>(?P<row>.*?)</tr>",
    re.S,
)
CELL = re.compile(r"<td\b[^>]*>(.*?)</td>", re.S)
NAME = re.compile(r"<code>([^<]+)</code>")
ANCHORED = re.compile(r"[^\w.]+")
TAG = re.compile(r"<[^>]+>")


def add_names(folder: Path) -> None:
    """Add an anchor to each named row of the site in `folder`, and an entry to `search.json`."""
    path = folder / "search.json"
    index = json.loads(path.read_text("utf-8"))
    pages = {item["location"]: item for item in index["items"]}
    for page, column in COLUMNS.items():
        at = folder / page / "index.html"
        html, entries = named_rows(at.read_text("utf-8"), column)
        at.write_text(html, "utf-8")
        index["items"] += [
            {**pages[page], **entry, "location": f"{page}#{entry['location']}"} for entry in entries
        ]
    path.write_text(json.dumps(index, ensure_ascii=False), "utf-8")


def named_rows(html: str, column: int) -> tuple[str, list[dict[str, Any]]]:
    """Return a page whose named rows have anchors, and an entry of the index for each name.

    Args:
        html: The page.
        column: The column of the tables that names their rows.

    Returns:
        The page, and the entries, whose `location` is the anchor alone.

    """
    entries: list[dict[str, Any]] = []
    given: Counter[str] = Counter()
    section = table = ""

    def with_anchor(part: re.Match[str]) -> str:
        nonlocal section, table
        section = part["section"] or section
        table = "" if part["section"] else part["table"] or table
        cells = CELL.findall(part["row"] or "")
        names = NAME.findall(cells[column]) if len(cells) > column else []
        if not names:
            return part[0]
        anchor = f"{table or section or 'row'}-{ANCHORED.sub('-', names[0]).strip('-')}"
        given[anchor] += 1
        if given[anchor] > 1:  # as for a code with several causes
            anchor += f"-{given[anchor]}"
        text = " ".join(TAG.sub("", cell) for cell in cells)
        for name in names:
            variable = f"[{table}] LINQI_{table}__{name} ".upper() if table else ""
            entries.append(
                {"location": anchor, "level": 3, "title": name, "text": f"<p>{variable}{text}</p>"}
            )
        return f'<tr id="{anchor}">{part["row"]}</tr>'

    return PART.sub(with_anchor, html), entries
