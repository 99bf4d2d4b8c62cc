"""``linqi keygen``: makes a key file, adds a key to it (rotation), activates or removes a key."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.errors import InvalidKey
from linqi.jose._atomic_write import write_atomically
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import KeySet
from linqi.jose.rotation import NOT_YET, USUAL_LEAD, activate, publish, rotate

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi keygen", "make keys.json with an ES256 key, and print the public key set"),
        Example("linqi keygen --alg HS256 --out refresh.json", "make the secret of refresh tokens"),
        Example("linqi keygen --rotate", "add a key that signs when every verifier knows it"),
        Example(
            "linqi keygen --rotate --store valkey://10.0.0.5:6379/0",
            "let the workers confirm that they have it first",
        ),
        Example("linqi keygen --remove KID", "withdraw a stolen key at once"),
    ],
    exits={
        0: "the key file was made or changed",
    },
)

_DEFAULT_ALG: Final = "ES256"
_PUBLIC: Final = 0o644


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--rotate",
        action="store_true",
        help="add a new key to --out: it is published now and signs later",
    )
    change.add_argument(
        "--activate",
        action="store_true",
        help="let the key sign that --rotate --store has published, once all workers have it",
    )
    change.add_argument(
        "--remove", metavar="KID", help="remove the key with this key id from --out at once"
    )
    parser.add_argument(
        "--alg",
        choices=ALGORITHMS,
        help=f"default: {_DEFAULT_ALG}; with --rotate, that of the current key",
    )
    parser.add_argument("--kid", help="key id (default: from the RFC 7638 thumbprint)")
    parser.add_argument(
        "--bits", type=int, default=2048, help="bits of an RSA modulus (default: 2048)"
    )
    parser.add_argument(
        "--curve", choices=("Ed25519", "Ed448"), help="for EdDSA (default: Ed25519)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("keys.json"), help="the private JWKS (default: keys.json)"
    )
    parser.add_argument("--public-out", type=Path, help="the public JWKS (default: printed)")
    parser.add_argument(
        "--lead-seconds",
        type=float,
        default=USUAL_LEAD,
        help="with --rotate or --activate: how long verifiers may cache the key set without the new"
        f" key (default: {USUAL_LEAD:g})",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="with --rotate or --activate: the store of the running workers; the key signs only"
        " after all of them have announced it there, and --lead-seconds later",
    )
    parser.add_argument(
        "--prefix", help="with --store: of Valkey's keys, if [store] names another than linqi"
    )
    parser.add_argument(
        "--wait-seconds",
        type=float,
        default=60,
        help="with --store: how long to wait for the workers (default: 60)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --activate: do not ask whether all workers have the key",
    )
    parser.add_argument(
        "--token-lifetime-seconds",
        type=float,
        default=900,
        help="with --rotate or --activate: the longest token lifetime (default: 900)",
    )


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Make, rotate or remove a key and return 0; on an error nothing is written."""
    now = clock()
    if arguments.public_out is not None and _is_one_file(arguments.out, arguments.public_out):
        raise InvalidKey(
            f"--public-out {arguments.public_out} and --out {arguments.out} are the same file, and"
            " the private keys would be overwritten; name another file for the public set"
        )
    _check_options(arguments)
    if arguments.rotate and arguments.store is not None:
        return _publish_new(arguments, clock)
    if arguments.rotate:
        return _rotate(arguments, now)
    if arguments.activate:
        return _activate(arguments, clock)
    if arguments.remove is not None:
        return _remove(arguments, now)
    return _make(arguments, now)


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise for options that would have no effect, or mean two things."""
    if arguments.store is not None and not (arguments.rotate or arguments.activate):
        raise InvalidKey("--store is for --rotate and --activate")
    if arguments.prefix is not None and arguments.store is None:
        raise InvalidKey("--prefix is for --store")
    if arguments.force and not arguments.activate:
        raise InvalidKey("--force is for --activate")
    if arguments.activate and (arguments.store is None) is not arguments.force:
        raise InvalidKey(
            "--activate needs either --store URL, to ask the workers whether they have the key, or"
            " --force, not to ask"
        )


def _make(arguments: argparse.Namespace, now: float) -> int:
    keys = KeySet([_generated(arguments, arguments.alg or _DEFAULT_ALG)])
    _check_public_out(keys, arguments.public_out)
    for path in (arguments.out, arguments.public_out):
        if path is not None and path.exists():
            raise FileExistsError(f"{path} exists already; choose another name, or use --rotate")
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
    after = _written(rotation.keys, arguments.out)
    _say(f"{new.kid} ({new.alg}) is published now and signs from {_at(rotation.signs_from)}")
    _say(f"{old.kid} signs until then and stays published until {_at(rotation.published_until)}")
    for kid in rotation.dropped:
        _say(f"removed {kid}, which was published for long enough")
    _publish(after, arguments.public_out, now)
    return 0


def _publish_new(arguments: argparse.Namespace, clock: Callable[[], float]) -> int:
    """Publish a new key, and activate it when all workers have it."""
    from linqi.commands.key_holders import announced, of_file  # with the stores: few need it

    before = KeySet.load(arguments.out)
    _check_public_out(before, arguments.public_out)
    workers = announced(arguments.store, arguments.prefix)
    if not of_file(workers, {key.kid for key in before.keys}):
        raise InvalidKey(
            "no worker has announced a key of this file in this store, so nothing is changed: name"
            " the store of the running workers, or rotate without --store"
        )
    now = clock()
    new = _generated(arguments, arguments.alg or before.signing_key(now).alg)
    after = _written(publish(before.keys, new, now), arguments.out)
    _say(f"{new.kid} ({new.alg}) is published now and does not sign yet")
    if arguments.public_out is not None:
        _publish(after, arguments.public_out, now)
    return _activate(arguments, clock)


def _activate(arguments: argparse.Namespace, clock: Callable[[], float]) -> int:
    keys = KeySet.load(arguments.out)
    _check_public_out(keys, arguments.public_out)
    kid = _waiting(keys)
    if kid and arguments.store is not None:
        from linqi.commands.key_holders import wait_for_holders

        others = [key.kid for key in keys.keys if key.kid != kid]
        where = (arguments.store, arguments.prefix)
        wait_for_holders(*where, kid, others, arguments.wait_seconds, _say)
        # Again: a stolen key that was removed during the wait must not come back.
        keys = KeySet.load(arguments.out)
        if _waiting(keys) != kid:
            raise InvalidKey(
                f"{kid} was removed from {arguments.out} or activated while this command waited for"
                " the workers; nothing is changed"
            )
    now = clock()
    rotation = activate(
        keys.keys,
        now,
        lead=arguments.lead_seconds,
        token_lifetime=arguments.token_lifetime_seconds,
    )
    after = _written(rotation.keys, arguments.out)
    _say(f"{kid} signs from {_at(rotation.signs_from)}; bring the file to every host before then")
    _say(f"the keys before it stay published until {_at(rotation.published_until)}")
    _publish(after, arguments.public_out, now)
    return 0


def _waiting(keys: KeySet) -> str:
    """Return the id of the key that is published and does not sign yet; empty if there is none."""
    return next((key.kid for key in keys.keys if key.signs_from == NOT_YET), "")


def _remove(arguments: argparse.Namespace, now: float) -> int:
    keys = KeySet.load(arguments.out)
    _check_public_out(keys, arguments.public_out)
    if [key.kid for key in keys.keys] == [arguments.remove]:
        raise InvalidKey(f"{arguments.remove} is the only key; add another one with --rotate first")
    keys.remove(arguments.remove)
    now_signing = keys.signing_key(now)
    keys.save(arguments.out)
    _say(f"wrote {arguments.out} (private, mode 0600) without {arguments.remove}")
    _say(f"workers refuse its tokens once they have read the file; {now_signing.kid} signs")
    _publish(keys, arguments.public_out, now)
    return 0


def _generated(arguments: argparse.Namespace, alg: str) -> Key:
    return Key.generate(alg, kid=arguments.kid, bits=arguments.bits, curve=arguments.curve)


def _is_one_file(one: Path, other: Path) -> bool:
    """Return whether two paths name the same file, which need not exist yet.

    Symbolic links and hard links are followed. Names that differ in case only count as the same:
    they are on some file systems.
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
        raise InvalidKey("an HMAC secret has no public JWKS; remove --public-out")


def _written(keys: Sequence[Key], out: Path) -> KeySet:
    """Write private keys, say so, and return them as a set."""
    found = KeySet(keys)
    found.save(out)
    _say(f"wrote {out} (private, mode 0600)")
    return found


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
