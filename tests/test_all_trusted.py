"""Attacks on one verifier that trusts every kind of issuer: no token of one passes as another's.

Own keys and those of before, another issuer that moves from a secret to a signature key, a template
of tenants, a load balancer, an earlier system behind a bridge, and an issuer of opaque tokens stand
side by side.
"""

import base64
import contextlib
import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import linqi
from linqi import (
    Bridge,
    Introspection,
    Key,
    KeySet,
    Signer,
    TokenError,
    TrustedIssuer,
    Verifier,
)
from linqi.errors import Unavailable
from linqi.jose.issuers import own_issuer
from linqi.jose.opaque_issuer import OpaqueIssuer
from tokens import NOW, verified

OWN, MOVED, PLAIN = "https://own.test", "https://moved.test", "https://plain.test"
BALANCED = "https://provider.test"
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc6c495c0c"
TENANTS = "https://tenants.test/{tid}/v2"
AUDIENCE = "api"
PACKAGE = str(Path(linqi.__file__).parent)


def _tenant(tid: str) -> str:
    return TENANTS.replace("{tid}", tid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kind of token: who signs it, how it looks, and as whose it may count."""

    key: Key
    claims: Mapping[str, Any]
    header: Mapping[str, Any]
    signs: frozenset[str | None]
    """The ``iss`` of the tokens that `key` may sign; None is a token without."""
    own: bool = False
    is_padded: bool = False


def _source(key: Key, issuer: str, typ: str = "JWT", own: bool = False, **claims: Any) -> Source:
    now = int(NOW)
    common = {"sub": "alice", "iat": now - 5, "exp": now + 300}
    return Source(
        key=key,
        header={"alg": key.alg, "kid": key.kid, "typ": typ},
        claims=common | {"iss": issuer, "aud": AUDIENCE} | claims,
        signs=frozenset({issuer}),
        own=own,
    )


KEYS = {
    "own": Key.generate("ES256", kid="own"),
    "own before": Key.generate("HS256", kid="own-before"),
    "moved from": Key.generate("HS256", kid="moved-from"),
    "moved to": Key.generate("ES256", kid="moved-to"),
    "plain": Key.generate("EdDSA", kid="plain"),
    "tenants": Key.generate("ES256", kid="tenants"),
    "one tenant": Key.from_jwk(
        Key.generate("ES256", kid="one-tenant").private_jwk() | {"issuer": _tenant("one")}
    ),
    "bridge": Key.generate("HS256", kid="bridge"),
    "balancer": Key.generate("ES256", kid="6a1c2f0e-7f4b-4f7e-9a57-0d6f1b2c3d4e"),
}
SOURCES = {
    "own": _source(KEYS["own"], OWN, "at+jwt", own=True, jti="t-1", sid="s-1"),
    "own before": _source(KEYS["own before"], OWN, "at+jwt", own=True, jti="t-2", sid="s-2"),
    "moved from": _source(KEYS["moved from"], MOVED),
    "moved to": _source(KEYS["moved to"], MOVED),
    "plain": _source(KEYS["plain"], PLAIN),
}
_EVERY_TENANT = frozenset({_tenant("one"), _tenant("two")})
for _tid in ("one", "two"):
    _of = _source(KEYS["tenants"], _tenant(_tid), tid=_tid)
    SOURCES[f"tenant {_tid}"] = replace(_of, signs=_EVERY_TENANT)
SOURCES["tenant one by its own key"] = _source(KEYS["one tenant"], _tenant("one"), tid="one")
_bridged = _source(KEYS["bridge"], OWN, own=True)
SOURCES["bridge"] = replace(
    _bridged,
    claims={name: _bridged.claims[name] for name in ("sub", "iat", "exp")},
    signs=frozenset({None}),
)


_balanced = _source(KEYS["balancer"], BALANCED)
SOURCES["balancer"] = replace(
    _balanced,
    header={**_balanced.header, "signer": BALANCER, "client": AUDIENCE},
    claims={name: value for name, value in _balanced.claims.items() if name != "aud"},
    is_padded=True,
)


def trusting(*others: OpaqueIssuer) -> Verifier:
    """Return a verifier that trusts all of them, and `others`."""

    def entry(issuer: str, *names: str, **options: Any) -> TrustedIssuer:
        keys = [KEYS[name] for name in names]
        return TrustedIssuer(
            issuer=issuer,
            audience=AUDIENCE,
            keys=KeySet(keys),
            algorithms=sorted({key.alg for key in keys}),
            **options,
        )

    signer = Signer(KEYS["own"], issuer=OWN, audience=AUDIENCE)
    return Verifier(
        [
            own_issuer(signer),
            own_issuer(signer, KeySet([KEYS["own before"]])),
            entry(MOVED, "moved from"),
            entry(MOVED, "moved to"),
            entry(PLAIN, "plain"),
            entry(BALANCED, "balancer", alb_signer=BALANCER),
            entry(TENANTS, "tenants", "one tenant", tenants=["one", "two"]),
            *others,
        ],
        bridge=Bridge(key=KEYS["bridge"], until=NOW + 3600, lifetime=3600),
        clock=lambda: NOW,
    )


VERIFIER = trusting()


def encoded(
    key: Key, header: Mapping[str, Any], claims: Mapping[str, Any], *, is_padded: bool = False
) -> str:
    """Sign exactly this, right or wrong."""
    padding = b"" if is_padded else b"="

    def segment(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(padding)

    signed = b".".join(segment(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed.decode()}.{segment(key.sign(signed)).decode()}"


def genuine(name: str) -> str:
    """Return a token as the source itself issues it."""
    source = SOURCES[name]
    return encoded(source.key, source.header, source.claims, is_padded=source.is_padded)


@pytest.mark.parametrize("name", SOURCES)
def test_a_token_of_each_kind_is_accepted_as_that_kind(name: str) -> None:
    """Each counts as its own issuer's, by its own algorithm, also from the cache (V3, V6)."""
    source = SOURCES[name]
    token = genuine(name)
    for _ in range(2):
        verified = VERIFIER.verify(token)
        issuer = source.claims.get("iss", OWN)
        assert (verified.issuer, verified.own) == (issuer, source.own)
        assert verified.algorithm == source.key.alg


def test_no_mixture_of_whole_parts_is_accepted() -> None:
    """A header, claims and a key verify if and only if the key is that issuer's own (V3, V6)."""
    sources = SOURCES.values()
    for shown, told, signed_by in itertools.product(sources, repeat=3):
        is_padded = shown.is_padded
        token = encoded(signed_by.key, shown.header, told.claims, is_padded=is_padded)
        is_genuine = shown.key is signed_by.key and told.claims.get("iss") in signed_by.signs
        try:
            VERIFIER.verify(token)
        except (TokenError, Unavailable):
            assert not is_genuine, token
        else:
            assert is_genuine, token


NAMES = st.sampled_from(sorted(SOURCES))


@st.composite
def forgeries(draw: st.DrawFn) -> tuple[str, Source, dict[str, Any]]:
    """Return a token whose header, claims and key are of any sources, who signed it, its claims."""
    signed_by = SOURCES[draw(NAMES)]
    shown, told = (draw(st.sampled_from([signed_by, SOURCES[draw(NAMES)]])) for _ in range(2))
    header, claims = dict(shown.header), dict(told.claims)
    for part, names in (
        (header, ("alg", "kid", "typ", "signer", "client")),
        (claims, ("iss", "aud", "tid", "sid")),
    ):
        for name in names:
            changed = draw(st.sampled_from([*["keep"] * 40, "drop", *SOURCES]))
            if changed == "drop":
                part.pop(name, None)
            elif changed != "keep":
                other = SOURCES[changed]
                given_by = other.header if part is header else other.claims
                part[name] = given_by.get(name, part.get(name))
    is_padded = draw(st.sampled_from([signed_by.is_padded, shown.is_padded]))
    token = encoded(signed_by.key, header, claims, is_padded=is_padded)
    return token, signed_by, claims


@given(forgery=forgeries())
def test_no_mixture_counts_as_another_issuers(
    forgery: tuple[str, Source, dict[str, Any]],
) -> None:
    """Whatever header, claims and key are put together: the key decides whose token it can be."""
    token, signed_by, claims = forgery
    try:
        verified = VERIFIER.verify(token)
    except (TokenError, Unavailable):
        event("refused")
        return
    event("accepted")
    assert claims.get("iss") in signed_by.signs
    assert verified.issuer == claims.get("iss", OWN)
    assert verified.own == signed_by.own
    assert verified.algorithm == signed_by.key.alg
    assert ("=" in token) == signed_by.is_padded
    if not signed_by.is_padded:  # a load balancer's audience is in the header
        assert claims.get("aud") == signed_by.claims.get("aud")
    if "tid" in signed_by.claims:
        assert verified.issuer == _tenant(claims["tid"])


def lines_of(verifier: Verifier, token: str) -> list[tuple[str, int]]:
    """Return the lines of linqi that one verification executes."""
    found: list[tuple[str, int]] = []

    def trace(frame: FrameType, what: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if what == "line":
            found.append((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        verifier.verify(token)
    finally:
        sys.settrace(before)
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_a_hit_executes_the_same_lines_whatever_else_is_trusted(name: str) -> None:
    """What can be configured costs a verified token nothing: neither itself nor what it adds."""
    signer = Signer(KEYS["own"], issuer=OWN, audience=AUDIENCE)
    alone = Verifier.trusting(signer, clock=lambda: NOW)
    plain, token = genuine("own"), genuine(name)
    for _ in range(2):
        alone.verify(plain)
        VERIFIER.verify(token)
    hit = lines_of(VERIFIER, token)
    assert hit == lines_of(alone, plain)
    assert len(hit) < 30


OPAQUE = "https://opaque.test"
ANSWERS: dict[str, dict[str, Any] | None] = {
    "active": {"sub": "alice", "aud": AUDIENCE, "scope": "read"},
    "revoked": None,
    "in the name of ours": {"sub": "alice", "aud": AUDIENCE, "iss": OWN},
    "in the name of a tenant": {"sub": "alice", "aud": AUDIENCE, "iss": _tenant("one")},
    "in no name": {"sub": "alice", "aud": AUDIENCE, "iss": None},
    "for another API": {"sub": "alice", "aud": "other"},
    "for no API": {"sub": "alice"},
    "expired": {"sub": "alice", "aud": AUDIENCE, "exp": int(NOW) - 1},
    "bound": {"sub": "alice", "aud": AUDIENCE, "cnf": {"jkt": "x"}},
}


class Asked:
    """The issuer of opaque tokens, and the tokens that it was asked about."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def __call__(self, token: str) -> Mapping[str, Any] | None:
        """Return the answer about a token."""
        self.tokens.append(token)
        return ANSWERS.get(token.removeprefix("opaque-").replace("-", " "))


def asking() -> tuple[Verifier, Asked]:
    """Return a verifier that trusts an issuer of opaque tokens too."""
    asked = Asked()
    source = Introspection(OPAQUE, ask=asked, clock=lambda: NOW)
    return trusting(source.trust(AUDIENCE)), asked


async def test_an_opaque_token_counts_as_its_issuers_only() -> None:
    """Whatever the answer says, it is no token of ours, and of no other issuer (V6)."""
    verifier, asked = asking()
    token = await verified(verifier, "opaque-active")
    assert (token.issuer, token.own, token.subject) == (OPAQUE, False, "alice")
    for name in ANSWERS:
        if name != "active":
            with pytest.raises((TokenError, Unavailable)):
                await verified(verifier, f"opaque-{name.replace(' ', '-')}")
    assert len(asked.tokens) == len(ANSWERS)


async def test_no_token_of_another_issuer_is_sent_to_the_one_that_is_asked() -> None:
    """A JWT in any mixture, padded or cut, is never shown to it."""
    verifier, asked = asking()
    for shown, told, signed_by in itertools.product(SOURCES.values(), repeat=3):
        jwt = encoded(signed_by.key, shown.header, told.claims, is_padded=shown.is_padded)
        for token in (jwt, f"{jwt}.", jwt.rpartition(".")[0]):
            with contextlib.suppress(TokenError, Unavailable):
                await verified(verifier, token)
    assert asked.tokens == []


async def test_a_hit_of_an_opaque_token_executes_the_same_lines() -> None:
    """An answer that counts is a look-up, as a verified token is."""
    verifier, _ = asking()
    plain = genuine("own")
    await verified(verifier, "opaque-active")
    verifier.verify(plain)
    assert lines_of(verifier, "opaque-active") == lines_of(verifier, plain)
