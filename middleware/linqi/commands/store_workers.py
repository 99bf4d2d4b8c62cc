"""``linqi store workers``: the running workers, and the keys that each of them has."""

from __future__ import annotations

import argparse
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.key_holders import announced

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store workers valkey://10.0.0.5:6379/0",
            "list the workers with the ids of the keys that each has read",
        ),
    ],
    exits={
        0: "there are workers",
        1: "no worker has announced itself",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each worker; return 1 if there is none."""
    workers = announced(arguments.url, arguments.prefix)
    for worker in workers:
        kids = " ".join(sorted(worker.kids)) or "none"
        issuer = worker.issuer if worker.issuer.isprintable() else repr(worker.issuer)
        kids = kids if kids.isprintable() else repr(kids)
        print(f"{worker.worker}  {issuer}  {worker.age:.0f} s ago  keys: {kids}")
    if not workers:
        print("no worker has announced its keys")
    return 0 if workers else 1
