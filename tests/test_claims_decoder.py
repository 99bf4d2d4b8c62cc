"""The fast decoder of claims: it never reads claims differently from `parse_object`."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import Key
from linqi._base64url import encode as encode_segment
from linqi.errors import MalformedToken, TokenError
from linqi.jose._claims_decoder import ClaimsShape
from linqi.jose._compact import parse_object
from linqi.jose.claims import read_registered
from tokens import good_claims, make, verifier_of

KEY = Key.generate("HS256")
NAMES = st.sampled_from(
    [
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "scope", "auth_time"),
        *("session_end", "name", "x0", "x1", "https://shop.example/role", "e-mail", "exp ", ""),
    ]
)
VALUES = st.one_of(
    st.text(max_size=6),
    st.integers(-5, 2_000_000_000),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.just("x" * 1025),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
READ = ("iss", "exp", "sub", "nbf", "iat", "scope")


def written(pairs: list[tuple[str, Any]], tight: bool, escaped: bool) -> bytes:
    """Write an object with any members, duplicates among them."""
    separators = (",", ":") if tight else (", ", ": ")
    inner = separators[0].join(
        json.dumps(name, ensure_ascii=escaped)
        + separators[1]
        + json.dumps(value, ensure_ascii=escaped, separators=separators)
        for name, value in pairs
    )
    return b"{" + inner.encode("utf-8", "surrogatepass") + b"}"


@given(st.data(), PAIRS, st.booleans(), st.booleans())
def test_what_is_read_quickly_is_what_the_long_way_reads(
    data: st.DataObject, pairs: list[tuple[str, Any]], tight: bool, escaped: bool
) -> None:
    """After learning one payload, any other is read equally or not at all."""
    base = {"iss": "i", "exp": 1_900_000_000, "aud": "a", **dict(data.draw(PAIRS))}
    first = json.dumps(base, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    shape = ClaimsShape()
    try:
        shape.learn(parse_object(first, "payload"), first)
    except TokenError:
        return
    alike = [(name, data.draw(VALUES) if data.draw(st.booleans()) else base[name]) for name in base]
    for candidate in (first, written(pairs, tight, escaped), written(alike, tight, escaped)):
        found = shape.read(candidate)
        if found is None:
            continue
        claims = parse_object(candidate, "payload")
        registered = read_registered(claims, candidate)
        assert [getattr(found, name) for name in READ] == [
            getattr(registered, name) for name in READ
        ]
        assert found.aud == claims.get("aud")


def test_tokens_written_alike_are_read_quickly() -> None:
    """The second token of an issuer is read by the shape of the first, the values being its own."""
    shape = ClaimsShape()
    claims = [good_claims(jti=f"t{n}", role="ädmin") for n in range(3)]
    payloads = [msgspec.json.encode(each) for each in claims]
    assert shape.read(payloads[0]) is None
    shape.learn(parse_object(payloads[0], "payload"), payloads[0])
    for payload in payloads:
        found = shape.read(payload)
        assert found is not None
        assert found.sub == good_claims()["sub"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"sub":', '"sub":"other","sub":', 1),
        lambda text: text.replace('"exp":', '"exp":1,"exp":', 1),
        lambda text: text[:-1] + ',"iss":"https://evil.example"}',
        lambda text: text + " ",
        lambda text: text.replace('"sub"', '"s\\u0075b"', 1),
    ],
)
def test_a_learned_shape_lets_nothing_through(change: Any) -> None:
    """V11: duplicates and other spellings of a signed payload have the same result as before."""
    verifiers = [verifier_of(KEY, cache=None), verifier_of(KEY, cache=None)]
    verifiers[0].verify(make(KEY, good_claims()))
    text = json.dumps(good_claims(), separators=(",", ":"))
    header = make(KEY, good_claims()).split(".")[0]
    signed = f"{header}.{encode_segment(change(text).encode()).decode()}"
    token = f"{signed}.{encode_segment(KEY.sign(signed.encode())).decode()}"
    outcomes = []
    for verifier in verifiers:
        try:
            outcomes.append(verifier.verify(token).subject)
        except MalformedToken as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_an_issuer_that_never_writes_alike_is_not_learned_for_ever() -> None:
    """Eight forms are learned; after that no more types are declared."""
    shape = ClaimsShape()
    for number in range(20):
        claims = {"iss": "i", "exp": 1_900_000_000, f"claim{number}": 1}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        assert shape.read(payload) is None
        shape.learn(claims, payload)
    assert shape._learned == 8
