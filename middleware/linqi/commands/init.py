"""``linqi init``: writes a linqi.toml with all keys and their defaults, and its schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.config.json_schema import schema_text
from linqi.config.schema import SCHEMA_FILE
from linqi.config.template import template

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi init", "write linqi.toml and linqi.schema.json into this folder"),
        Example("linqi init -", "print the file, for example to compare it with yours"),
    ],
    exits={
        0: "the file was written or printed",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "file",
        nargs="?",
        default="linqi.toml",
        help="the file to write (default: linqi.toml); - prints it",
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
