"""``linqi logout``: revoke a session at the server, and remove its tokens here."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.errors import Unavailable
from linqi.login.login_flow import sign_out
from linqi.login.saved_logins import SavedLogins, base_url

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi logout https://shop.example", "revoke the session, and remove its tokens"),
    ],
    exits={
        0: "signed out",
        1: "there is no login at this URL",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi logout`` to `parser`."""
    parser.add_argument("url", help="the server, as given to linqi login")
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove the tokens even if the server cannot revoke the session",
    )


def run(arguments: argparse.Namespace) -> int:
    """Sign out.

    Returns:
        0; 1 if there is no login at the URL.

    Raises:
        Unavailable: The server did not revoke the session; the tokens are kept.

    """
    logins = SavedLogins()
    url = base_url(arguments.url, is_plain_allowed=True)
    login = logins.find(url)
    if login is None:
        print(f"there is no login at {url}", file=sys.stderr)
        return 1
    tokens = logins.storage(login).load()
    try:
        if tokens is not None:
            sign_out(login, tokens)
    except Unavailable as error:
        if not arguments.forget:
            raise Unavailable(
                f"{error}; the session is not revoked and its tokens are kept (use --forget to"
                " remove them)"
            ) from error
        print(f"the session is not revoked at the server: {error}", file=sys.stderr)
    logins.remove(login)
    print(f"signed out of {url}", file=sys.stderr)
    return 0
