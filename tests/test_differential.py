"""linqi and PyJWT on the same tokens: where they agree, and what linqi refuses beyond it."""

import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linqi import Key, TokenError
from linqi._base64url import encode as encode_segment
from tokens import AUDIENCE, ISSUER, good_claims, verifier_of

KEYS = {alg: Key.generate(alg) for alg in ("HS256", "RS256", "ES256", "EdDSA")}
# What linqi refuses and PyJWT accepts, by the error's code: the requirement that says so.
STRICTER = {
    "malformed_token": "V10 canonical base64url; V11 strict JSON; V14 sizes",
    "unsupported_token": "V8 typ; V9 b64, zip, cty",
    "unknown_key": "V4 an unknown kid is not any key",
    "invalid_claim": "V12 numbers and bounds; V13 strings; V7 aud",
    "missing_claim": "V12 exp; V6 iss; V7 aud",
    "token_expired": "V12 fractions of seconds count: PyJWT cuts exp to whole seconds",
    "token_not_yet_valid": "V12 fractions of seconds count: PyJWT cuts nbf and iat",
    "unknown_issuer": "V6 iss is one string",
}


def claims_now(**changes: Any) -> dict[str, Any]:
    """Return good claims on the real clock, which PyJWT reads."""
    now = int(time.time())
    return good_claims(**{"iat": now - 10, "exp": now + 600} | changes)


def theirs(token: str, key: Key) -> dict[str, Any] | None:
    """Return PyJWT's claims, or None if it refuses the token."""
    jwk = key.private_jwk() if key.kty == "oct" else key.public_jwk()
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(jwk).key,
            algorithms=[key.alg],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp"]},
        )
    except (jwt.PyJWTError, RecursionError, ValueError, TypeError, OverflowError):
        return None
    return claims


def ours(token: str, key: Key) -> dict[str, Any] | TokenError:
    """Return linqi's claims, or its refusal."""
    try:
        return dict(verifier_of(key, clock=time.time).verify(token).claims)
    except TokenError as error:
        return error


def compare(token: str, key: Key) -> None:
    """Hold the three rules of agreement against one token."""
    mine, other = ours(token, key), theirs(token, key)
    if isinstance(mine, TokenError):
        assert other is None or mine.code in STRICTER, (mine, other)
    else:
        assert other is not None, "linqi accepts what PyJWT refuses"
        assert mine == other


ODD = st.one_of(
    *(st.none(), st.booleans(), st.integers(-5, 2**40), st.floats(allow_nan=False)),
    *(st.text(max_size=6), st.lists(st.text(max_size=3), max_size=2)),
)
CLAIM_NAMES = ["exp", "nbf", "iat", "sub", "jti", "sid", "aud", "iss", "scope", "x", "é"]
CLAIMS = st.dictionaries(st.sampled_from(CLAIM_NAMES), ODD, max_size=3)
HEADERS = st.dictionaries(
    st.sampled_from(["typ", "kid", "b64", "cty", "zip", "crit", "jwk", "x5c", "y"]), ODD, max_size=2
)


@given(
    alg=st.sampled_from([*KEYS]),
    header=st.one_of(st.just({}), HEADERS),
    changes=st.one_of(st.just({}), CLAIMS),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_signed_tokens_are_read_alike(
    alg: str, header: dict[str, Any], changes: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    """Both accept: equal claims. linqi accepts: so does PyJWT. Only linqi refuses: for a reason."""
    key = KEYS[alg]
    parts = [
        json.dumps(part, indent=indent, ensure_ascii=ascii_only).encode()
        for part in ({"alg": alg, "kid": key.kid, **header}, claims_now(**changes))
    ]
    data = b".".join(encode_segment(part) for part in parts)
    compare((data + b"." + encode_segment(key.sign(data))).decode(), key)


@given(
    alg=st.sampled_from([*KEYS]),
    position=st.floats(0, 0.999),
    put=st.sampled_from(["", "A", "=", ".", "..", " ", "\n", "-", "_", "+", "/", "é", "AAAA"]),
    cut=st.integers(0, 4),
)
@settings(max_examples=400, deadline=None)
def test_mutated_tokens_are_read_alike(alg: str, position: float, put: str, cut: int) -> None:
    """A character more, less or other in any place: nothing is accepted that PyJWT refuses."""
    key = KEYS[alg]
    parts = [json.dumps(p).encode() for p in ({"alg": alg, "kid": key.kid}, claims_now())]
    data = b".".join(encode_segment(part) for part in parts)
    token = (data + b"." + encode_segment(key.sign(data))).decode()
    at = int(position * len(token))
    compare(token[:at] + put + token[at + cut :], key)


@pytest.mark.parametrize(
    ("payload", "is_accepted"),
    [
        ('{"a":1,"a":2,%s}', False),
        ('{"a":{"b":1,"b":1},%s}', False),
        ('{"a":[1,{"c":0.5}],%s}', True),
        ('{"a":1e5,%s}', True),
        ('{"a":12345678901234567890123,%s}', True),
        ('{ "a" : -0.0 ,%s}', True),
        ('{"a":"\\u0041",%s}', True),
    ],
)
def test_unusual_json_is_read_alike_or_refused(payload: str, is_accepted: bool) -> None:
    """Duplicates are refused by V11; unusual numbers and escapes mean the same to both."""
    key = KEYS["HS256"]
    inside = json.dumps(claims_now())[1:-1]
    parts = [json.dumps({"alg": "HS256"}).encode(), (payload % inside).encode()]
    data = b".".join(encode_segment(part) for part in parts)
    token = (data + b"." + encode_segment(key.sign(data))).decode()
    compare(token, key)
    assert isinstance(ours(token, key), dict) == is_accepted
