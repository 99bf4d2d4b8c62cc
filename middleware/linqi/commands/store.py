"""``linqi store``: creates, cleans and keeps the session store that a URL names."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Final

from linqi.commands import (
    store_backup,
    store_init,
    store_purge,
    store_restored,
    store_workers,
)

__all__ = ["add_options", "run"]

_ACTIONS: Final[dict[str, tuple[str, ModuleType]]] = {
    "init": ("create or update the store's tables, or check that it is usable", store_init),
    "purge": ("delete ended sessions", store_purge),
    "backup": ("copy a SQLite file while workers write to it", store_backup),
    "restored": ("end the sessions of a restored backup, or trust them", store_restored),
    "workers": ("list the running workers with the ids of their keys", store_workers),
}
_URL: Final = (
    "sqlite:PATH, valkey[+cluster|+sentinel]://HOST:PORT or postgresql://USER@HOST/DATABASE"
)

_PREFIX: Final = "of Valkey's keys, if [store] names another than linqi"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions, each with the URL of a store and options of its own."""
    actions = parser.add_subparsers(required=True, metavar="action")
    for name, (summary, module) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("url", help=_URL)
        action.add_argument("--prefix", help=_PREFIX)
        module.add_options(action)
        action.set_defaults(act=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Run the action and return its exit code; raise `LinqiError` if the store is unreachable."""
    code: int = arguments.act(arguments)
    return code
