"""``linqi verify``: verifies a token with the keys of a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from linqi.commands.token_argument import add_token, report_refusal, token_of
from linqi.errors import TokenError
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import ALGORITHMS
from linqi.jose.keys import KeySet
from linqi.jose.verifier import Verifier

__all__ = ["add_options", "run"]


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
        help="how long after exp the token is still accepted (default: 0)",
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
