"""``linqi token``: prints a fresh access token of a login, for curl and the like."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from linqi.client.judge import JudgeSettings
from linqi.errors import SignedOut
from linqi.login.saved_logins import SavedLogins, base_url

__all__ = ["add_options", "run"]

_SETTINGS: Final = JudgeSettings(mandatory=JudgeSettings().advisory)
"""Who takes the token away cannot renew it: near expiry it is renewed first."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("url", help="as given to linqi login")


def run(arguments: argparse.Namespace) -> int:
    """Print the token; 0, 1 when the session is over, `Unavailable` when the server is away."""
    from linqi.client.httpx2 import RefreshingAuth

    logins = SavedLogins()
    url = base_url(arguments.url, is_plain_allowed=True)
    login = logins.find(url)
    if login is None:
        print(f"nobody is signed in to {url}; linqi login {url}", file=sys.stderr)
        return 1
    auth = RefreshingAuth(
        login.beside("refresh"), storage=logins.storage(login), settings=_SETTINGS
    )
    try:
        print(auth.token())
    except SignedOut as error:
        print(f"refused: {error} with linqi login {url}", file=sys.stderr)
        return 1
    return 0
