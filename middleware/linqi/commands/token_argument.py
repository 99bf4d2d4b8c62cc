"""A token on the command line, and its refusal."""

from __future__ import annotations

import argparse
import sys

from linqi.errors import TokenError

__all__ = ["add_token", "complain_of", "token_of"]


def add_token(parser: argparse.ArgumentParser) -> None:
    """Declare the argument."""
    parser.add_argument(
        "token",
        help="the token, or - to read it from standard input, which keeps it out of the history",
    )


def token_of(arguments: argparse.Namespace) -> bytes:
    """Return the token from the command line, or from standard input for ``-``."""
    text = sys.stdin.readline() if arguments.token == "-" else str(arguments.token)
    return text.strip().removeprefix("Bearer ").encode("utf-8", "replace")


def complain_of(error: TokenError) -> int:
    """Print why the token is refused; returns the exit code."""
    print(f"refused: {error.code}: {error.detail}", file=sys.stderr)
    return 1
