"""``linqi store revoke``: ends the sessions of one user in every worker."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.named_store import open_named
from linqi.errors import ConfigurationError
from linqi.sessions._claims import check_subject
from linqi.sessions.revocation import Revocations
from linqi.sessions.revocation_publisher import RevocationPublisher
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store revoke sqlite:sessions.db --subject alice",
            "sign alice out everywhere: running workers refuse the tokens",
        ),
    ],
    exits={
        0: "sessions were ended",
        1: "the user had no live session in the store; earlier access tokens are refused",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--subject", required=True, help="the user, as in the tokens' sub")


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """End the sessions, print the id of each, and return 0; 1 if there was none.

    Raises:
        ConfigurationError: The store is that of one process only.
        InvalidSubject: No token can have this subject.
        Unavailable: The revocation may be incomplete; the command can be repeated.

    """
    subject = arguments.subject
    check_subject(subject)
    store = open_named(arguments.url, arguments.prefix)
    if isinstance(store, MemoryStore):
        raise ConfigurationError(
            ["memory: has no sessions of another process; there is nothing to revoke"]
        )
    ids = asyncio.run(_revoke(store, subject, clock))
    for name in ids:
        print(name)
    shown = subject if subject.isprintable() else repr(subject)
    count = f"{len(ids):,} session{'' if len(ids) == 1 else 's'}"
    print(f"ended {count} of {shown}; access tokens of earlier sign-ins are refused as well")
    return 0 if ids else 1


async def _revoke(store: SessionStore, subject: str, clock: Callable[[], float]) -> Sequence[str]:
    """Do what `Sessions.revoke_all` does, without the keys that a `Sessions` needs."""
    await store.start()
    try:
        publisher = RevocationPublisher(store, Revocations(store, clock=clock), clock=clock)
        return await publisher.end_subject(subject, kept_session="", cause="admin")
    finally:
        await store.close()
