"""``linqi schema``: prints the JSON Schema of linqi.toml, for editors."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.config.json_schema import schema_text
from linqi.config.schema import SCHEMA_FILE

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi schema linqi.schema.json",
            "write the file that the first line of linqi.toml names",
        ),
        Example("linqi schema", "print it"),
    ],
    exits={
        0: "the schema was printed or written",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        help=f"write it there instead of printing it; linqi.toml refers to {SCHEMA_FILE}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print or write the schema and return 0; a file that exists is replaced."""
    if arguments.file is None:
        sys.stdout.write(schema_text())
    else:
        arguments.file.write_text(schema_text(), encoding="utf-8")
    return 0
