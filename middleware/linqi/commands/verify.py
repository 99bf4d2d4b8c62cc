"""``linqi verify``: verifies a token with the keys of a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.commands.token_argument import add_token, report_refusal, token_of
from linqi.errors import TokenError
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import ALGORITHMS
from linqi.jose.keys import KeySet
from linqi.jose.verifier import Verifier

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi verify - --keys jwks.json --issuer https://shop.example --audience shop"
            " --algorithms ES256",
            "verify the token on standard input, and print its claims",
        ),
    ],
    exits={
        0: "the token is valid",
        1: "it is refused; the reason is on standard error",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_token(parser)
    parser.add_argument(
        "--keys", type=Path, required=True, help="a JWKS file with the issuer's keys"
    )
    parser.add_argument("--issuer", required=True, help="the exact iss claim")
    parser.add_argument("--audience", required=True, help="the accepted aud claim")
    parser.add_argument(
        "--algorithms",
        nargs="+",
        required=True,
        choices=ALGORITHMS,
        metavar="ALG",
        help=f"the accepted algorithms: {', '.join(ALGORITHMS)}",
    )
    parser.add_argument(
        "--leeway-seconds",
        type=float,
        default=0,
        help="how long after exp the token is still accepted",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the claims as JSON; return 0, or 1 for a refused token."""
    verifier = Verifier(
        TrustedIssuer(
            issuer=arguments.issuer,
            audience=arguments.audience,
            keys=KeySet.load(arguments.keys, arguments.algorithms),
            algorithms=arguments.algorithms,
        ),
        leeway=arguments.leeway_seconds,
        cache=None,
    )
    try:
        verified = verifier.verify(token_of(arguments))
    except TokenError as error:
        return report_refusal(error)
    print(json.dumps(dict(verified.claims), indent=2))
    return 0
