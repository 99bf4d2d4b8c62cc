"""``linqi token``: print a fresh access token of a login, for curl and other programs."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from linqi.client.renewal import TokenRenewal
from linqi.client.tokens import TokenStorage
from linqi.commands.command_help import CommandHelp, Example
from linqi.errors import SignedOut
from linqi.login.saved_logins import SavedLogin, SavedLogins, base_url

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            'curl -H "Authorization: Bearer $(linqi token https://shop.example)" https://shop.example/me',
            "call a server with a token that is renewed when it is near expiry",
        ),
    ],
    exits={
        0: "the token was printed",
        1: "there is no login at this URL, or its session has ended",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi token`` to `parser`."""
    parser.add_argument("url", help="the server, as given to linqi login")


def run(arguments: argparse.Namespace) -> int:
    """Print the access token.

    Returns:
        0; 1 if there is no login at the URL or its session has ended.

    Raises:
        Unavailable: The token must be renewed and the server is unavailable.

    """
    logins = SavedLogins()
    url = base_url(arguments.url, is_plain_allowed=True)
    login = logins.find(url)
    if login is None:
        print(f"there is no login at {url}; run: linqi login {url}", file=sys.stderr)
        return 1
    storage = logins.storage(login)
    try:
        held = TokenRenewal(storage=storage)
        print(held.fresh_token() or _renewed_token(login, storage))
    except SignedOut as error:
        print(f"refused: {error}; run: linqi login {url}", file=sys.stderr)
        return 1
    return 0


def _renewed_token(login: SavedLogin, storage: TokenStorage) -> str:
    """Return the access token after a renewal, which alone needs an HTTP client."""
    from linqi.client.httpx2 import RefreshingAuth

    return RefreshingAuth(login.beside("refresh"), storage=storage).token()
