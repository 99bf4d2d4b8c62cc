"""``linqi login``: signs a person in for the programs of this account, or tells who is."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
import time
from collections.abc import Callable
from typing import Final

from linqi.client.tokens import read_claims
from linqi.errors import ConfigurationError, LinqiError, MalformedToken
from linqi.login.login_flow import sign_in, sign_out
from linqi.login.saved_logins import SavedLogin, SavedLogins, base_url

__all__ = ["add_options", "run"]

_PATHS: Final = ("/login", "/auth/login")
"""Where `SessionRoutes` stands by itself, and below the prefix of ``linqi serve``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("url", nargs="?", help="such as https://shop.example")
    parser.add_argument("--status", action="store_true", help="tell who is signed in, and end")
    parser.add_argument("--username", help="default: asked for")
    parser.add_argument(
        "--password-from",
        metavar="SOURCE",
        help="the name of an environment variable, or - for standard input (default: asked for)",
    )
    parser.add_argument(
        "--login-path", metavar="PATH", help=f"default: {' or '.join(_PATHS)}, whichever is there"
    )
    parser.add_argument(
        "--storage",
        choices=("file", "keyring"),
        default="file",
        help="a file of mode 0600, or the keyring of the system (linqi[keyring])",
    )
    parser.add_argument(
        "--insecure-http", action="store_true", help="send the password unencrypted to another host"
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Sign in, or tell who is; 0, or 1 when refused or nobody is signed in."""
    logins = SavedLogins()
    if arguments.status:
        return _show(logins, arguments.url, clock())
    if arguments.url is None:
        raise ConfigurationError(["say where to sign in, such as https://shop.example"])
    url = base_url(arguments.url, is_plain_allowed=arguments.insecure_http)
    paths = _PATHS if arguments.login_path is None else (arguments.login_path,)
    if not paths[0].startswith("/"):
        raise ConfigurationError(["--login-path begins with a slash, such as /auth/login"])
    username = arguments.username or _ask_name()
    password = _password(arguments.password_from)
    done = sign_in([f"{url}{path}" for path in paths], username, password)
    if done is None:
        print("refused: the user name or the password is wrong", file=sys.stderr)
        return 1
    login_url, tokens = done
    login = SavedLogin(url=url, login_url=login_url, username=username, storage=arguments.storage)
    try:
        _leave(logins, url)
        logins.storage(login).save(tokens)
        logins.keep(login)
    except BaseException:
        with contextlib.suppress(LinqiError):
            sign_out(login, tokens)  # nobody will ever use a session that was not kept
        raise
    print(f"signed in to {url} as {username}", file=sys.stderr)
    return 0


def _ask_name() -> str:
    _need_terminal("--username")
    print("user name: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _password(source: str | None) -> str:
    """Take the password from where it leaves no trace in a history or a list of processes."""
    if source is None:
        _need_terminal("--password-from")
        return getpass.getpass("password: ")
    if source == "-":
        return sys.stdin.readline().rstrip("\r\n")
    if source not in os.environ:  # the source is not repeated: it may be the password itself
        raise ConfigurationError(
            ["--password-from is the name of an environment variable that is set, or -"]
        )
    return os.environ[source]


def _need_terminal(option: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError([f"there is no terminal to ask at; use {option}"])


def _leave(logins: SavedLogins, url: str) -> None:
    """End an earlier session at the same address, as far as it can be reached."""
    before = logins.find(url)
    if before is None:
        return
    with contextlib.suppress(LinqiError, OSError):
        if (tokens := logins.storage(before).load()) is not None:
            sign_out(before, tokens)
    with contextlib.suppress(OSError):
        logins.forget(before)


def _show(logins: SavedLogins, url: str | None, now: float) -> int:
    if url is None:
        found = logins.all()
    else:
        login = logins.find(base_url(url, is_plain_allowed=True))
        found = [] if login is None else [login]
    for login in found:
        print(f"{login.url}  {login.username}  {login.storage}  {_state(logins, login, now)}")
    if not found:
        print("nobody is signed in" + ("" if url is None else " there"), file=sys.stderr)
    return 0 if found else 1


def _state(logins: SavedLogins, login: SavedLogin, now: float) -> str:
    tokens = logins.storage(login).load()
    if tokens is None:
        return "signed out"
    try:
        left = read_claims(tokens.access_token).exp - now
    except MalformedToken:
        left = 0
    return f"access token for {left:.0f} s" if left > 0 else "access token over, renewed on use"
