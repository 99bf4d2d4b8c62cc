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
    store_revoke,
    store_sessions,
    store_workers,
)
from linqi.commands.command_help import CommandHelp, Example, explain

__all__ = ["ACTIONS", "HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store init postgresql://app@db.internal/shop", "create or update the tables"
        ),
        Example("linqi store purge sqlite:sessions.db", "delete ended sessions"),
        Example(
            "linqi store ACTION --help", "show the options, examples and exit codes of an action"
        ),
    ],
    exits={
        0: "the action was completed",
        1: "the action found something to do or a problem, see its own --help",
    },
)

ACTIONS: Final[dict[str, tuple[str, ModuleType]]] = {
    "init": ("create or update the store's tables, or check that it is usable", store_init),
    "purge": ("delete ended sessions", store_purge),
    "backup": ("copy a SQLite file while workers write to it", store_backup),
    "restored": ("end the sessions of a restored backup, or trust them", store_restored),
    "sessions": ("list the sessions of one user", store_sessions),
    "revoke": ("end the sessions of one user, in every worker", store_revoke),
    "workers": ("list the running workers with the ids of their keys", store_workers),
}
_URL: Final = (
    "sqlite:PATH, valkey[+cluster|+sentinel]://HOST:PORT or postgresql://USER@HOST/DATABASE"
)

_PREFIX: Final = "of Valkey's keys, if [store] names another than linqi"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions, each with the URL of a store and options of its own."""
    actions = parser.add_subparsers(required=True, metavar="action")
    for name, (summary, module) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("url", help=_URL)
        action.add_argument("--prefix", help=_PREFIX)
        module.add_options(action)
        explain(action, module.HELP)
        action.set_defaults(act=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Run the action and return its exit code; raise `LinqiError` if the store is unreachable."""
    code: int = arguments.act(arguments)
    return code
