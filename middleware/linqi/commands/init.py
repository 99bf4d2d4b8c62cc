"""``linqi init``: writes a linqi.toml with all keys and their defaults, and its schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linqi.config.json_schema import schema_text
from linqi.config.schema import SCHEMA_FILE
from linqi.config.template import template

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "file", nargs="?", default="linqi.toml", help="default: linqi.toml; - prints the text"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file and its schema; raise `FileExistsError` rather than overwrite the file."""
    if arguments.file == "-":
        sys.stdout.write(template())
        return 0
    path = Path(arguments.file)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        raise FileExistsError(f"{path} exists already; `linqi init -` prints a new one") from None
    schema = path.with_name(SCHEMA_FILE)
    schema.write_text(schema_text(), encoding="utf-8")
    print(
        f"wrote {path}, and {schema} for editors; set issuer, audience and public paths,"
        " make a key with `linqi keygen`, then run `linqi check`",
        file=sys.stderr,
    )
    return 0
