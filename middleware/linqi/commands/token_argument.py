"""The token argument of commands, and the report of a refused token."""

from __future__ import annotations

import argparse
import sys

from linqi.errors import TokenError

__all__ = ["add_token", "report_refusal", "token_of"]


def add_token(parser: argparse.ArgumentParser) -> None:
    """Declare the token argument."""
    parser.add_argument(
        "token",
        help="the token, or - to read it from standard input, which keeps it out of shell history",
    )


def token_of(arguments: argparse.Namespace) -> bytes:
    """Return the token from the command line, or from standard input for ``-``."""
    text = sys.stdin.readline() if arguments.token == "-" else str(arguments.token)
    return text.strip().removeprefix("Bearer ").encode("utf-8", "replace")


def report_refusal(error: TokenError) -> int:
    """Print why the token is refused; return the exit code 1."""
    print(f"refused: {error.code}: {error.detail}", file=sys.stderr)
    return 1
