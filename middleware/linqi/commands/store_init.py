"""``linqi store init``: creates or updates what a session store needs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from secrets import token_hex
from typing import Final

from linqi._notes import KeepsNotes
from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.named_store import open_named
from linqi.sessions.revocation import Revocations
from linqi.sessions.store import SessionStore, WarnsAtStart
from linqi.stores.postgres import PostgresStore
from linqi.stores.schema_state import HasSchema

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store init postgresql://app@db.internal/shop",
            "create the tables, or update those of an earlier release",
        ),
        Example(
            "linqi store init --check postgresql://app@db.internal/shop",
            "print what would be done, and with which locks",
        ),
        Example(
            "linqi store init valkey://10.0.0.5:6379/0", "check the settings of a Valkey server"
        ),
    ],
    exits={
        0: "the store is ready",
        1: "with --check: there is something to do",
    },
)

_NOTE_SECONDS: Final = 10.0
"""How long a note of a command that was killed stays in the store."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing: print what is to be done, and return 1 if there is anything",
    )


def run(arguments: argparse.Namespace) -> int:
    """Create or update the store and return 0; with --check 1 if that is needed.

    Raises:
        ConfigurationError: The store has tables of a later release; nothing was changed.

    """
    store = open_named(arguments.url, arguments.prefix, may_be_new=True)
    return asyncio.run(_initialize(store, is_check=arguments.check))


async def _initialize(store: SessionStore, *, is_check: bool) -> int:
    if not isinstance(store, HasSchema):
        await _try(store)  # Valkey has no tables; it is checked whether it is usable
        await _write(store)
        print("the store is ready")
        return 0
    state = await store.schema_state()
    for step in state.steps:
        print(f"to do: {step}", flush=True)
    if not state.steps:
        print(f"nothing to do: the store has schema {state.version}")
    if is_check:
        return int(bool(state.steps))
    if isinstance(store, PostgresStore):
        if not state.steps:
            return 0  # also for the role of the workers, which may not create anything
        await store.initialize(lambda step: print(f"now: {step}", flush=True))
    else:
        await _try(store)
    if state.steps:
        state = await store.schema_state()
        print(f"done: the store has schema {state.version}")
    return 0


async def _try(store: SessionStore) -> None:
    await store.start()
    fault = await _fault_of_feed(store)
    await store.close()
    if fault:
        print(f"warning: workers will answer 503: {fault}", file=sys.stderr)
    if isinstance(store, WarnsAtStart):
        for text in store.warnings:
            print(f"warning: {text}", file=sys.stderr)


async def _write(store: SessionStore) -> None:
    """Write a note and delete it; `Unavailable` says that the server is full, or refuses writes."""
    if not isinstance(store, KeepsNotes):
        return
    await store.start()
    try:
        name = token_hex(8)
        await store.notes().put("check", name, "linqi store init", _NOTE_SECONDS)
        await store.notes().drop("check", name, "linqi store init")
    finally:
        await store.close()


async def _fault_of_feed(store: SessionStore) -> str:
    """Return why revocations cannot be read, or an empty string."""
    revocations = Revocations(store)
    await revocations.start()
    await revocations.close()
    return revocations.state().last_error
