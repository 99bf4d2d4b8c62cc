"""``linqi store sessions``: the sessions of one user, page by page."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime
from typing import Any, Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.named_store import open_named
from linqi.sessions.record import SessionRecord
from linqi.sessions.session_page import MOST_ON_PAGE, read_page

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi store sessions sqlite:sessions.db --subject alice", "list the live sessions"
        ),
        Example(
            "linqi store sessions valkey://10.0.0.5:6379/0 --subject alice --ended --json",
            "also those that ended, with their cause, as JSON",
        ),
    ],
    exits={
        0: "there are sessions",
        1: "the user has none",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--subject", required=True, help="the user, as in the tokens' sub")
    parser.add_argument("--ended", action="store_true", help="list ended sessions too")
    parser.add_argument(
        "--limit", type=int, default=50, help=f"how many at most, 1 to {MOST_ON_PAGE} (default: 50)"
    )
    parser.add_argument("--cursor", default="", help="of the page before, to see the next one")
    parser.add_argument("--json", action="store_true", help="print the page as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each session; return 1 if there is none."""
    return asyncio.run(_list(arguments))


async def _list(arguments: argparse.Namespace) -> int:
    store = open_named(arguments.url, arguments.prefix)
    await store.start()

    async def now() -> float:
        return store.now()

    try:
        wanted = arguments.subject, now, arguments.limit, arguments.cursor
        page = await read_page(store, *wanted, ended=arguments.ended)
        listed = [_fields(record, store.now()) for record in page.sessions]
    finally:
        await store.close()
    if arguments.json:
        print(json.dumps({"sessions": listed, "cursor": page.cursor}))
    else:
        for fields in listed:
            device = fields["device"] if fields["device"].isprintable() else repr(fields["device"])
            since, until = _time(fields["started_at"]), _time(fields["ends_at"])
            print(f"{fields['session_id']}  {fields['state']}  {since} to {until}  {device}")
        if page.cursor:
            print(f"more: --cursor {page.cursor}")
        if not listed:
            print("no sessions")
    return 0 if listed else 1


def _fields(record: SessionRecord, now: float) -> dict[str, Any]:
    """Return what an operator may see of a session: no claims, which may be personal."""
    state = "live" if record.is_live(now) else record.cause or "expired"
    names = ("session_id", "device", "started_at", "rotated_at", "expires_at", "ends_at")
    fields = {name: getattr(record, name) for name in names}
    return {**fields, "revoked_at": record.revoked_at or None, "state": state}


def _time(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
