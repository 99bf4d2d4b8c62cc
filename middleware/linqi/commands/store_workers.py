"""``linqi store workers``: the running workers, and the keys that each of them has."""

from __future__ import annotations

import argparse

from linqi.commands.key_holders import announced

__all__ = ["add_options", "run"]


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
