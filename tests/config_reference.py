"""The table of keys in docs/guides/configuration.md; run this file to write it again."""

import re
from pathlib import Path

from linqi.config.schema import ISSUERS, every_setting
from linqi.config.setting import Setting
from linqi.config.template import expectation, toml_of

PAGE = Path(__file__).parent.parent / "docs" / "guides" / "configuration.md"
BLOCK = re.compile(r"(<!-- keys -->\n).*?(<!-- end -->)", re.S)


def reference() -> str:
    """Return the table that the schema generates."""
    lines: list[str] = []
    last = ""
    for table, setting in every_setting():
        if table != last:
            name = f"[[{table}]]" if table == ISSUERS else f"[{table}]"
            lines += ["", f"**`{name}`**", "", "| key | default | meaning |", "|---|---|---|"]
            last = table
        lines.append(_row(setting))
    return "\n".join(lines[1:]) + "\n"


def shown() -> str:
    """Return the table in the page."""
    found = BLOCK.search(PAGE.read_text())
    assert found
    return found[0].removeprefix("<!-- keys -->\n").removesuffix("<!-- end -->")


def _row(setting: Setting) -> str:
    default = "" if setting.default is None else f"`{toml_of(setting.default)}`"
    meaning = f"{setting.meaning} {expectation(setting)}".strip().replace("|", "\\|")
    return f"| `{setting.name}` | {default} | {meaning} |"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda found: found[1] + reference() + found[2], PAGE.read_text()))
