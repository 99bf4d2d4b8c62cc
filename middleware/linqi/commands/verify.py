"""``linqi verify``: verifies a token with the keys of a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from linqi.commands.token_argument import add_token, complain_of, token_of
from linqi.errors import TokenError
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import ALGORITHMS
from linqi.jose.keys import KeySet
from linqi.jose.verifier import Verifier

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_token(parser)
    parser.add_argument("--keys", type=Path, required=True, help="a JWKS file")
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--audience", required=True)
    parser.add_argument("--algorithms", nargs="+", required=True, choices=ALGORITHMS)
    parser.add_argument("--leeway-seconds", type=float, default=0)


def run(arguments: argparse.Namespace) -> int:
    """Print the claims as JSON; 0, or 1 for a refused token."""
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
        return complain_of(error)
    print(json.dumps(dict(verified.claims), indent=2))
    return 0
