"""Tokens that must be refused: forged, damaged, expired or for another audience."""

from __future__ import annotations

import itertools
import random
import secrets
import string
from collections.abc import Callable, Sequence
from typing import Final, Literal

import pybase64

from linqi import _base64url

__all__ = ["Forger", "ForgeryKind"]

ForgeryKind = Literal["mixed", "known_kids", "kids", "garbage", "dead"]

_GARBAGE: Final = string.ascii_letters + string.digits + "-_."


class Forger:
    """Makes tokens that must be refused.

    Args:
        kind: ``kids`` (unknown key ids only), ``garbage`` (random characters only), ``mixed``
            (every kind), ``known_kids`` (every kind except unknown key ids) or ``dead`` (those in
            `refused` only, which are then refresh tokens of sessions that have ended).
        refused: Tokens signed with the keys of the run that must still be refused: expired ones,
            or for another audience.

    Attributes:
        is_refresh: Whether the tokens are presented to be refreshed, and not for a page.

    """

    def __init__(self, kind: ForgeryKind = "mixed", refused: Sequence[bytes] = ()) -> None:
        makers: dict[str, tuple[Callable[[random.Random, bytes], bytes], ...]] = {
            "mixed": (self._flipped, self._unsigned, self._swapped_kid, self._garbage, self._kept),
            "known_kids": (self._flipped, self._unsigned, self._garbage, self._kept),
            "kids": (self._swapped_kid,),
            "garbage": (self._garbage,),
            "dead": (self._kept,),
        }
        self.is_refresh = kind == "dead"
        # In turn and not by chance: a short storm presents few, and must present each kind.
        self._makers = itertools.cycle(makers[kind])
        self._refused = tuple(refused)

    def forge(self, rng: random.Random, live: bytes) -> bytes:
        """Return a token that must be refused, made from `live`, which is accepted."""
        if live.count(b".") != 2:
            return self._garbage(rng, live)
        return next(self._makers)(rng, live)

    def _kept(self, rng: random.Random, live: bytes) -> bytes:
        return rng.choice(self._refused) if self._refused else self._flipped(rng, live)

    def _flipped(self, rng: random.Random, live: bytes) -> bytes:
        """Change one character in the middle of the signature."""
        head, _, signature = live.rpartition(b".")
        place = len(signature) // 2
        other = b"A" if signature[place : place + 1] != b"A" else b"B"
        return head + b"." + signature[:place] + other + signature[place + 1 :]

    def _unsigned(self, rng: random.Random, live: bytes) -> bytes:
        """Remove the signature and declare ``alg: none`` (RFC 8725, section 3.2)."""
        _, payload, _ = live.split(b".")
        return encode(b'{"alg":"none","typ":"at+jwt"}') + b"." + payload + b"."

    def _swapped_kid(self, rng: random.Random, live: bytes) -> bytes:
        """Replace ``kid`` by one that no key has."""
        header, payload, signature = live.split(b".")
        kid = secrets.token_hex(8).encode()
        plain = pybase64.urlsafe_b64decode(header + b"=" * (-len(header) % 4))
        before, found, after = plain.partition(b'"kid":"')
        if not found:
            return self._flipped(rng, live)
        _, _, rest = after.partition(b'"')
        forged = before + found + kid + b'"' + rest
        return encode(forged) + b"." + payload + b"." + signature

    def _garbage(self, rng: random.Random, live: bytes) -> bytes:
        """Return 1 to 4,000 random characters."""
        return "".join(rng.choices(_GARBAGE, k=rng.randint(1, 4_000))).encode()


def encode(part: bytes) -> bytes:
    """Return one part of a token as base64url without padding."""
    return _base64url.encode(part)
