"""The inputs that every rival is shown, and what a careful verifier makes of each."""

from __future__ import annotations

import hashlib
import hmac
import json
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from rivals.material import AUDIENCE, ISSUER, KID
from rivals.tokens import Mint, encoded, typical_claims

__all__ = ["OVERSIZED", "PROBES", "MintPair", "Probe"]

_URLSAFE: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


@dataclass(frozen=True, slots=True)
class MintPair:
    """What the makers of tokens work with."""

    own: Mint
    """The mint that the rival trusts."""
    other: Mint
    """A mint of the same algorithm that it does not."""


Make = Callable[[MintPair], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One token, and what the sources say to do with it."""

    name: str
    wanted: Literal["accepted", "refused", "either"]
    why: str
    alg: str = "HS256"
    allows_both: bool = False
    """Whether the rival is told to allow HS256 beside `alg`."""
    twice: bool = False
    """Whether it is shown once while it is good, and judged after its ``exp``."""
    headers: int = 1
    """How many Authorization headers: the second has a forged token."""
    make: Make


def _claims(**others: Any) -> Make:
    return lambda with_: with_.own.token(typical_claims(**others))


def _header(**members: Any) -> Make:
    return lambda with_: with_.own.token(**members)


def _signature(change: Callable[[str], str]) -> Make:
    def make(with_: MintPair) -> str:
        data, _, signature = with_.own.token().rpartition(".")
        return f"{data}.{change(signature)}"

    return make


def _trailing_bits(signature: str) -> str:
    """Change the bits of the last character that decode to nothing."""
    return signature[:-1] + _URLSAFE[_URLSAFE.index(signature[-1]) ^ 1]


def _other_alphabet(with_: MintPair) -> str:
    while True:
        data, _, signature = with_.own.token().rpartition(".")
        if "-" in signature and "_" in signature:
            return f"{data}.{signature.replace('-', '+').replace('_', '/')}"


def _none(with_: MintPair) -> str:
    header = encoded(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    return f"{header}.{with_.own.token().split('.')[1]}."


def _public_key_as_secret(with_: MintPair) -> str:
    header = encoded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": KID}).encode())
    data = f"{header}.{encoded(json.dumps(typical_claims()).encode())}"
    secret = with_.own.material.public_pem.encode()
    return f"{data}.{encoded(hmac.digest(secret, data.encode(), hashlib.sha256))}"


def _embedded_key(with_: MintPair) -> str:
    return with_.other.token(jwk=with_.other.public_jwk())


def _two_subjects(with_: MintPair) -> str:
    claims = json.dumps(typical_claims(sub="first"))
    header = json.dumps({"alg": with_.own.material.alg, "typ": "JWT", "kid": KID})
    return with_.own.sign_text(
        header, claims[:-1] + ', "sub": "00000000-0000-4000-8000-0000000000ff"}'
    )


def _two_algorithms(with_: MintPair) -> str:
    alg = with_.own.material.alg
    header = f'{{"alg": "none", "typ": "JWT", "kid": "{KID}", "alg": "{alg}"}}'
    return with_.own.sign_text(header, json.dumps(typical_claims()))


def _infinite(with_: MintPair) -> str:
    claims = json.dumps(typical_claims(exp=0)).replace('"exp": 0', '"exp": 1e999')
    header = json.dumps({"alg": with_.own.material.alg, "typ": "JWT", "kid": KID})
    return with_.own.sign_text(header, claims)


def _now() -> int:
    return int(time.time())


PROBES: Final = (
    Probe(name="a good token", wanted="accepted", why="control", make=_claims()),
    Probe(
        name="another key's signature",
        wanted="refused",
        why="control",
        make=lambda with_: with_.other.token(),
    ),
    Probe(
        name="expired a second ago",
        wanted="refused",
        why="control; RFC 7519, 4.1.4",
        make=lambda with_: with_.own.token(typical_claims(exp=_now() - 1)),
    ),
    Probe(
        name="not valid before the next hour",
        wanted="refused",
        why="control; RFC 7519, 4.1.5",
        make=lambda with_: with_.own.token(typical_claims(nbf=_now() + 3600)),
    ),
    Probe(
        name="another issuer",
        wanted="refused",
        why="control; RFC 8725, 3.8",
        make=_claims(iss=ISSUER + ".evil"),
    ),
    Probe(
        name="another audience",
        wanted="refused",
        why="control; RFC 8725, 3.9",
        make=_claims(aud=AUDIENCE + ".evil"),
    ),
    Probe(
        name="shown while good, judged again after exp",
        wanted="refused",
        why="a cache must not outlive exp",
        twice=True,
        make=lambda with_: with_.own.token(typical_claims(exp=_now() + 2)),
    ),
    Probe(
        name="no exp",
        wanted="refused",
        why="a token without end; RFC 9068, 2.2",
        make=_claims(exp=None),
    ),
    Probe(name="no iss", wanted="refused", why="RFC 8725, 3.8", make=_claims(iss=None)),
    Probe(name="no aud", wanted="refused", why="RFC 8725, 3.9", make=_claims(aud=None)),
    Probe(
        name="exp is text",
        wanted="refused",
        why="RFC 7519, 2: NumericDate is a number",
        make=lambda with_: with_.own.token(typical_claims(exp=str(_now() + 3600))),
    ),
    Probe(
        name="exp is 1e999",
        wanted="refused",
        why="a token without end",
        make=_infinite,
    ),
    Probe(name="alg none", wanted="refused", why="RFC 8725, 3.2", make=_none),
    Probe(
        name="HS256 with the public key as secret",
        wanted="refused",
        why="RFC 8725, 2.1",
        alg="RS256",
        make=_public_key_as_secret,
    ),
    Probe(
        name="the same, HS256 allowed beside RS256",
        wanted="refused",
        why="RFC 8725, 3.1: a key has one algorithm",
        alg="RS256",
        allows_both=True,
        make=_public_key_as_secret,
    ),
    Probe(
        name="unknown critical header",
        wanted="refused",
        why="RFC 7515, 4.1.11",
        make=_header(crit=["urn:example:x"], **{"urn:example:x": True}),
    ),
    Probe(
        name="signed by a key in its own header (jwk)",
        wanted="refused",
        why="RFC 8725, 3.10",
        alg="RS256",
        make=_embedded_key,
    ),
    Probe(
        name="kid names a key that is not ours",
        wanted="either",
        why="RFC 7515, 4.1.4: kid is a hint",
        make=_header(kid="key-of-another-issuer"),
    ),
    Probe(
        name="sub twice",
        wanted="either",
        why="RFC 7519, 4: reject, or take the last",
        make=_two_subjects,
    ),
    Probe(
        name="alg twice in the header",
        wanted="either",
        why="RFC 7515, 4: reject, or take the last",
        make=_two_algorithms,
    ),
    Probe(
        name="last character has other trailing bits",
        wanted="refused",
        why="RFC 4648, 3.5; one token, several spellings",
        make=_signature(_trailing_bits),
    ),
    Probe(
        name="signature padded with =",
        wanted="refused",
        why="RFC 7515, 2: no padding",
        make=_signature(lambda signature: signature + "="),
    ),
    Probe(
        name="stray characters in the signature",
        wanted="refused",
        why="RFC 4648, 3.3",
        make=_signature(lambda signature: f"{signature[:9]}!{signature[9:]}"),
    ),
    Probe(
        name="+ and / in the signature",
        wanted="refused",
        why="RFC 7515, 2: base64url",
        make=_other_alphabet,
    ),
    Probe(
        name="two Authorization headers, the second forged",
        wanted="refused",
        why="RFC 9110, 5.3: the field is not a list",
        headers=2,
        make=_claims(),
    ),
)


def _forged(header: str, payload: str) -> str:
    return f"{encoded(header.encode())}.{encoded(payload.encode())}.{'A' * 43}"


_PLAIN: Final = '{"alg":"HS256","typ":"JWT"}'
_DEEP: Final = "[" * 100_000 + "]" * 100_000
OVERSIZED: Final[dict[str, str]] = {
    "1 MB of payload": _forged(_PLAIN, '{"x":"' + "x" * 750_000 + '"}'),
    "1 MB of header": _forged('{"alg":"HS256","x":"' + "x" * 750_000 + '"}', "{}"),
    "header nested 100,000 deep": _forged('{"alg":"HS256","x":' + _DEEP + "}", "{}"),
    "1 MB of full stops": "." * 1_000_000,
}
"""Forged tokens that cost the sender little; each is timed until it is refused."""
