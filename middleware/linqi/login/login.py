"""``linqi login``: sign a user in for the programs of this account, or list the logins."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
import time
from collections.abc import Callable
from typing import Final

from linqi.client.tokens import ClientTokens, read_claims
from linqi.commands.command_help import CommandHelp, Example
from linqi.errors import ConfigurationError, LinqiError, MalformedToken
from linqi.login.login_flow import sign_in, sign_out
from linqi.login.saved_logins import SavedLogin, SavedLogins, base_url

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi login https://shop.example", "sign in; user name and password are asked for"
        ),
        Example(
            "linqi login http://127.0.0.1:8000 --username alice --password-from ALICE_PASSWORD",
            "sign in without a terminal",
        ),
        Example("linqi login --status", "list the saved logins"),
    ],
    exits={
        0: "signed in, or there are logins to list",
        1: "the password is wrong, or --status finds no login",
    },
)

_PATHS: Final = ("/login", "/auth/login")
"""The login route of `SessionRoutes` without a prefix, and with that of ``linqi serve``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi login`` to `parser`."""
    parser.add_argument("url", nargs="?", help="the server, such as https://shop.example")
    parser.add_argument("--status", action="store_true", help="list the logins, without signing in")
    parser.add_argument("--username", help="the user name (default: prompt for it)")
    parser.add_argument(
        "--password-from",
        metavar="SOURCE",
        help="the name of an environment variable, or - for standard input (default: prompt)",
    )
    parser.add_argument(
        "--login-path",
        metavar="PATH",
        help=f"the login route (default: {' or '.join(_PATHS)}, the first that returns tokens)",
    )
    parser.add_argument(
        "--storage",
        choices=("file", "keyring"),
        default="file",
        help="where tokens are saved: a file of mode 0600 (default), or the system's keyring"
        " (linqi[keyring])",
    )
    parser.add_argument(
        "--insecure-http", action="store_true", help="allow an unencrypted http URL of another host"
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Sign in, or list the logins.

    Returns:
        0; 1 if the password is wrong, or if ``--status`` finds no login.

    Raises:
        ConfigurationError: The URL, an option or the login route is not usable.
        Unavailable: The server is unavailable or throttles sign-ins.

    """
    logins = SavedLogins()
    if arguments.status:
        return _show(logins, arguments.url, clock())
    if arguments.url is None:
        raise ConfigurationError(["the URL is missing, expected for example https://shop.example"])
    url = base_url(arguments.url, is_plain_allowed=arguments.insecure_http)
    paths = _PATHS if arguments.login_path is None else (arguments.login_path,)
    if not paths[0].startswith("/"):
        raise ConfigurationError(
            ["--login-path does not begin with a slash, expected for example /auth/login"]
        )
    logins.need_library(arguments.storage)  # before a session begins that could not be saved
    username = arguments.username or _prompt_username()
    password = _password(arguments.password_from)
    done = sign_in([f"{url}{path}" for path in paths], username, password)
    if done is None:
        print("refused: the user name or the password is wrong", file=sys.stderr)
        return 1
    login_url, tokens = done
    login = SavedLogin(url=url, login_url=login_url, username=username, storage=arguments.storage)
    earlier = logins.find(url)
    earlier_tokens = None if earlier is None else _tokens_of(logins, earlier)
    try:
        logins.storage(login).save(tokens)
        logins.save(login)
    except BaseException:
        with contextlib.suppress(LinqiError):
            sign_out(login, tokens)  # no program could use a session that was not saved
        raise
    if earlier is not None:
        _end_earlier(logins, earlier, earlier_tokens, login.storage)
    print(f"signed in to {url} as {username}", file=sys.stderr)
    return 0


def _prompt_username() -> str:
    _need_terminal("--username")
    print("user name: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _password(source: str | None) -> str:
    """Return the password; it is no argument, which a shell history and process list would show."""
    if source is None:
        _need_terminal("--password-from")
        return getpass.getpass("password: ")
    if source == "-":
        return sys.stdin.readline().rstrip("\r\n")
    if source not in os.environ:  # the value is not repeated: it may be the password itself
        raise ConfigurationError(
            ["--password-from is neither - nor the name of an environment variable that is set"]
        )
    return os.environ[source]


def _need_terminal(option: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError([f"there is no terminal for a prompt; use {option}"])


def _tokens_of(logins: SavedLogins, login: SavedLogin) -> ClientTokens | None:
    with contextlib.suppress(LinqiError, OSError, ModuleNotFoundError):
        return logins.storage(login).load()
    return None


def _end_earlier(
    logins: SavedLogins, earlier: SavedLogin, tokens: ClientTokens | None, storage: str
) -> None:
    """Revoke an earlier session at the same URL, if the server can be reached.

    Its tokens are removed unless those of the new session, in the same `storage`, replaced them.
    """
    if tokens is not None:
        with contextlib.suppress(LinqiError, OSError):
            sign_out(earlier, tokens)
    if earlier.storage != storage:
        with contextlib.suppress(LinqiError, OSError, ModuleNotFoundError):
            logins.storage(earlier).save(None)


def _show(logins: SavedLogins, url: str | None, now: float) -> int:
    if url is None:
        found = logins.all()
    else:
        login = logins.find(base_url(url, is_plain_allowed=True))
        found = [] if login is None else [login]
    for login in found:
        print(f"{login.url}  {login.username}  {login.storage}  {_state(logins, login, now)}")
    if not found:
        print("there are no logins" + ("" if url is None else f" at {url}"), file=sys.stderr)
    return 0 if found else 1


def _state(logins: SavedLogins, login: SavedLogin, now: float) -> str:
    tokens = logins.storage(login).load()
    if tokens is None:
        return "signed out"
    try:
        left = read_claims(tokens.access_token).exp - now
    except MalformedToken:
        left = 0
    if left <= 0:
        return "access token expired, renewed on use"
    return f"access token valid for {left:.0f} s"
