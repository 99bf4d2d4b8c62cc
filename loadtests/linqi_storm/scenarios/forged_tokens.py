"""Tokens that must be refused, of every kind that a forger or a fault brings."""

from __future__ import annotations

import random
import secrets
import string
from collections.abc import Callable, Sequence
from typing import Final, Literal

import pybase64

from linqi import _base64url

__all__ = ["Forger", "ForgeryKind"]

ForgeryKind = Literal["mixed", "known_kids", "kids", "garbage"]

_GARBAGE: Final = string.ascii_letters + string.digits + "-_."


class Forger:
    """Makes tokens that must be refused.

    ``kids`` and ``garbage`` make one kind only; ``known_kids`` leaves made-up key ids out.

    `refused` are whole tokens that the keys of the run have signed and that still must be
    refused: expired ones, or for another audience.
    """

    def __init__(self, kind: ForgeryKind = "mixed", refused: Sequence[bytes] = ()) -> None:
        makers: dict[str, tuple[Callable[[random.Random, bytes], bytes], ...]] = {
            "mixed": (self._flipped, self._unsigned, self._swapped_kid, self._garbage, self._kept),
            "known_kids": (self._flipped, self._unsigned, self._garbage, self._kept),
            "kids": (self._swapped_kid,),
            "garbage": (self._garbage,),
        }
        self._makers = makers[kind]
        self._refused = tuple(refused)

    def forge(self, rng: random.Random, live: bytes) -> bytes:
        """Give a token that must be refused; `live` is one that is accepted."""
        if live.count(b".") != 2:
            return self._garbage(rng, live)
        return rng.choice(self._makers)(rng, live)

    def _kept(self, rng: random.Random, live: bytes) -> bytes:
        return rng.choice(self._refused) if self._refused else self._flipped(rng, live)

    def _flipped(self, rng: random.Random, live: bytes) -> bytes:
        """Change one character in the middle of the signature."""
        head, _, signature = live.rpartition(b".")
        place = len(signature) // 2
        other = b"A" if signature[place : place + 1] != b"A" else b"B"
        return head + b"." + signature[:place] + other + signature[place + 1 :]

    def _unsigned(self, rng: random.Random, live: bytes) -> bytes:
        """Say that there is no signature (``alg: none``)."""
        _, payload, _ = live.split(b".")
        return encode(b'{"alg":"none","typ":"at+jwt"}') + b"." + payload + b"."

    def _swapped_kid(self, rng: random.Random, live: bytes) -> bytes:
        """Name a key that nobody has."""
        header, payload, signature = live.split(b".")
        kid = secrets.token_hex(8).encode()
        told = pybase64.urlsafe_b64decode(header + b"=" * (-len(header) % 4))
        before, found, after = told.partition(b'"kid":"')
        if not found:
            return self._flipped(rng, live)
        _, _, rest = after.partition(b'"')
        forged = before + found + kid + b'"' + rest
        return encode(forged) + b"." + payload + b"." + signature

    def _garbage(self, rng: random.Random, live: bytes) -> bytes:
        """Give characters that have come from nowhere, up to 4 KB of them."""
        return "".join(rng.choices(_GARBAGE, k=rng.randint(1, 4_000))).encode()


def encode(part: bytes) -> bytes:
    """Encode one part of a token."""
    return _base64url.encode(part)
