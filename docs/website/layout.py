"""What the site changes in the layout of the theme, for which the theme has no setting."""

import re
from pathlib import Path

from website.pages import PageFault

# From this width on the theme shows tabs and columns instead of a menu button, in stylesheets and
# in its script. Its own limit, 1,220 px, leaves a window of 1,200 px with the button.
WIDE = {"76.25em": "75em", "76.234375em": "74.984375em"}
NAMED_BY = {(".css", "76.25em"), (".css", "76.234375em"), (".js", "76.25em")}
CELL = re.compile(r"<td\b.*?</td>", re.S)
CODE = re.compile(r"(?<=<code>)[^<]+(?=</code>)")
LONG = re.compile(r"\S{15,}")
# Between the words of a long name, such as linqi_sessions_lost_total or LinqiSessionsLost.
SEAM = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[\w}\]])(?=[{\[./])|(?<=[_=:,])(?=[\w{\[])")


def set_wide_limit(folder: Path) -> None:
    """Let the site in `folder` show tabs and columns from 1,200 px on.

    Raises:
        PageFault: The theme names its limit in another way than it did.

    """
    missing = set(NAMED_BY)
    for path in (folder / "assets").rglob("*"):
        if path.suffix in {".css", ".js"}:
            text = path.read_text("utf-8")
            for old, new in WIDE.items():
                if old in text:
                    missing.discard((path.suffix, old))
                    text = text.replace(old, new)
            path.write_text(text, "utf-8")
    if missing:
        kinds = ", ".join(f"{old} in no {kind} file" for kind, old in sorted(missing))
        raise PageFault(f"the theme has another limit of width: {kinds}; see website/layout.py")


def break_names(html: str) -> str:
    """Return a page whose long names in the cells of tables may break between their words."""

    def broken(code: re.Match[str]) -> str:
        return LONG.sub(lambda name: SEAM.sub("<wbr>", name[0]), code[0])

    return CELL.sub(lambda cell: CODE.sub(broken, cell[0]), html)
