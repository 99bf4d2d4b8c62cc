"""``linqi logout``: ends a session at the server, and forgets it here."""

from __future__ import annotations

import argparse
import sys

from linqi.errors import Unavailable
from linqi.login.login_flow import sign_out
from linqi.login.saved_logins import SavedLogins, base_url

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("url", help="as given to linqi login")
    parser.add_argument(
        "--forget", action="store_true", help="forget the tokens although the server is away"
    )


def run(arguments: argparse.Namespace) -> int:
    """Sign out; 0, 1 when nobody was signed in, `Unavailable` with nothing forgotten."""
    logins = SavedLogins()
    url = base_url(arguments.url, is_plain_allowed=True)
    login = logins.find(url)
    if login is None:
        print(f"nobody is signed in to {url}", file=sys.stderr)
        return 1
    tokens = logins.storage(login).load()
    try:
        if tokens is not None:
            sign_out(login, tokens)
    except Unavailable as error:
        if not arguments.forget:
            raise Unavailable(
                f"{error}; the session goes on and its tokens are kept (--forget drops them)"
            ) from error
        print(f"the session was not ended at the server: {error}", file=sys.stderr)
    logins.forget(login)
    print(f"signed out of {url}", file=sys.stderr)
    return 0
