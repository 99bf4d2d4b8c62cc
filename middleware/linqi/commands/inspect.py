"""``linqi inspect``: prints the header and the claims of a token, unverified."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.token_argument import add_token, report_refusal, token_of
from linqi.errors import TokenError
from linqi.jose._compact import decode_segment, parse_object, read_members, split_any
from linqi.jose.limits import TokenLimits

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi inspect eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.AA",
            "print the header and the claims, without any trust in them",
        ),
        Example(
            "linqi token https://shop.example | linqi inspect -",
            "read the token from standard input",
        ),
    ],
    exits={
        0: "the token was decoded",
        1: "it is no JSON Web Token",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_token(parser)


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Print header and claims as JSON; return 0, or 1 for a token that cannot be decoded."""
    limits = TokenLimits()
    token = token_of(arguments)
    try:
        _, first, second, _ = split_any(token, limits.token_bytes)
        header = read_members(first.removesuffix(b"."), limits.header_bytes)
        claims = parse_object(decode_segment(second), "payload")
    except TokenError as error:
        if b"." not in token:
            print("no JWT; if it is an opaque token, only its issuer can read it", file=sys.stderr)
        return report_refusal(error)
    print("UNVERIFIED: anyone can forge this; check it with `linqi verify`", file=sys.stderr)
    print(json.dumps({"header": header, "claims": claims}, indent=2))
    if first.endswith(b"."):
        print("padded, as AWS load balancers write it (alb_signer)", file=sys.stderr)
    expires_at = claims.get("exp")
    if isinstance(expires_at, int | float):
        left = expires_at - clock()
        state = f"expires in {left:.0f} s" if left > 0 else f"expired {-left:.0f} s ago"
        print(state, file=sys.stderr)
    return 0
