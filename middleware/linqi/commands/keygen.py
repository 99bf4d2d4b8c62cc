"""``linqi keygen``: makes a key file, rotates a key into it, withdraws one."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from linqi.errors import InvalidKey
from linqi.jose._atomic_write import write_atomically
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import KeySet
from linqi.jose.rotation import USUAL_LEAD, rotate

__all__ = ["add_options", "run"]

_DEFAULT_ALG: Final = "ES256"
_PUBLIC: Final = 0o644


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--rotate", action="store_true", help="add a key to --out: published now, signing later"
    )
    change.add_argument("--remove", metavar="KID", help="withdraw a key of --out at once")
    parser.add_argument(
        "--alg", choices=ALGORITHMS, help=f"default {_DEFAULT_ALG}, or that of the key to replace"
    )
    parser.add_argument("--kid", help="default: from the RFC 7638 thumbprint")
    parser.add_argument("--bits", type=int, default=2048, help="RSA modulus (default 2048)")
    parser.add_argument("--curve", choices=("Ed25519", "Ed448"), default="Ed25519")
    parser.add_argument("--out", type=Path, default=Path("keys.json"), help="private JWKS")
    parser.add_argument("--public-out", type=Path, help="public JWKS (default: printed)")
    parser.add_argument(
        "--lead-seconds",
        type=float,
        default=USUAL_LEAD,
        help="for --rotate: how long verifiers may keep the set without the new key"
        f" (default {USUAL_LEAD:g})",
    )
    parser.add_argument(
        "--token-lifetime-seconds",
        type=float,
        default=900,
        help="for --rotate: how long the longest token lives (default 900)",
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Make, rotate or remove; 0, or `LinqiError` and `OSError` with nothing written."""
    now = clock()
    if arguments.public_out is not None and _is_one_file(arguments.out, arguments.public_out):
        raise InvalidKey(
            f"--public-out {arguments.public_out} and --out {arguments.out} are the same file, and"
            " the private keys would be overwritten; give the public set a file of its own"
        )
    if arguments.rotate:
        return _rotate(arguments, now)
    if arguments.remove is not None:
        return _remove(arguments, now)
    return _make(arguments, now)


def _make(arguments: argparse.Namespace, now: float) -> int:
    keys = KeySet([_generated(arguments, arguments.alg or _DEFAULT_ALG)])
    _check_public_out(keys, arguments.public_out)
    for path in (arguments.out, arguments.public_out):
        if path is not None and path.exists():
            raise FileExistsError(f"{path} exists; choose another name, or --rotate a key into it")
    keys.save(arguments.out)
    _say(f"wrote {arguments.out} (private, mode 0600, kid {keys.keys[0].kid})")
    _publish(keys, arguments.public_out, now)
    return 0


def _rotate(arguments: argparse.Namespace, now: float) -> int:
    before = KeySet.load(arguments.out)
    _check_public_out(before, arguments.public_out)
    old = before.signing_key(now)
    new = _generated(arguments, arguments.alg or old.alg)
    rotation = rotate(
        before.keys,
        new,
        now,
        lead=arguments.lead_seconds,
        token_lifetime=arguments.token_lifetime_seconds,
    )
    after = KeySet(rotation.keys)
    after.save(arguments.out)
    _say(f"wrote {arguments.out} (private, mode 0600)")
    _say(f"{new.kid} ({new.alg}) verifies from now on and signs from {_at(rotation.signs_from)}")
    _say(f"{old.kid} signs until then and stays published until {_at(rotation.published_until)}")
    for kid in rotation.dropped:
        _say(f"{kid} was past its time and is gone")
    _publish(after, arguments.public_out, now)
    return 0


def _remove(arguments: argparse.Namespace, now: float) -> int:
    keys = KeySet.load(arguments.out)
    _check_public_out(keys, arguments.public_out)
    if [key.kid for key in keys.keys] == [arguments.remove]:
        raise InvalidKey(f"{arguments.remove} is the only key; --rotate another one in first")
    keys.remove(arguments.remove)
    now_signing = keys.signing_key(now)
    keys.save(arguments.out)
    _say(f"wrote {arguments.out} (private, mode 0600) without {arguments.remove}")
    _say(f"its tokens are refused once the workers have read the file; {now_signing.kid} signs")
    _publish(keys, arguments.public_out, now)
    return 0


def _generated(arguments: argparse.Namespace, alg: str) -> Key:
    return Key.generate(alg, kid=arguments.kid, bits=arguments.bits, curve=arguments.curve)


def _is_one_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file, which need not exist yet.

    By symbolic and hard links too, and by names that differ in upper and lower case only: some
    file systems do not tell those apart.
    """
    if one.exists() and other.exists():
        return one.samefile(other)
    real, other_real = one.resolve(), other.resolve()
    if real.name.casefold() != other_real.name.casefold():
        return False
    if real.parent.exists() and other_real.parent.exists():
        return real.parent.samefile(other_real.parent)
    return real.parent == other_real.parent


def _check_public_out(keys: KeySet, public_out: Path | None) -> None:
    if public_out is not None and _is_secret(keys):
        raise InvalidKey("an HMAC secret has no public JWKS; leave --public-out away")


def _publish(keys: KeySet, public_out: Path | None, now: float) -> None:
    if _is_secret(keys):
        return
    public = json.dumps(keys.public_jwks(now), indent=2)
    if public_out is None:
        print(public)
    else:
        write_atomically(public_out, public.encode() + b"\n", _PUBLIC)
        _say(f"wrote {public_out} (public)")


def _is_secret(keys: KeySet) -> bool:
    return keys.keys[0].kty == "oct"


def _at(instant: float) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _say(line: str) -> None:
    print(line, file=sys.stderr)
