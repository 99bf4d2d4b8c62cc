"""The fast decoder of claims: it never reads claims differently from `parse_object`."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ANY_AUDIENCE, Key, KeySet, Verifier
from linqi._base64url import encode as encode_segment
from linqi.errors import InvalidClaim, InvalidSignature, MalformedToken, TokenError
from linqi.jose._claims_decoder import ClaimsShape
from linqi.jose._compact import parse_object
from linqi.jose.issuers import AnyAudience, Profile, TrustedIssuer, prepare
from tokens import NOW, good_claims, make, verifier_of

KEY = Key.generate("HS256")


def profile_of(issuer: str, audience: str | list[str] | AnyAudience = ANY_AUDIENCE) -> Profile:
    """Return the prepared issuer whose claims are learned."""
    return prepare(
        TrustedIssuer(issuer=issuer, audience=audience, keys=KeySet([KEY]), algorithms=["HS256"])
    )


NAMES = st.sampled_from(
    [
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "scope", "auth_time"),
        *(
            "session_end",
            "name",
            "cnf",
            "x0",
            "x1",
            "https://shop.example/role",
            "e-mail",
            "exp ",
            "",
        ),
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
    profile = profile_of("i", data.draw(st.sampled_from([ANY_AUDIENCE, "a", ["a", "b"]])))
    shape = ClaimsShape()
    try:
        claims = parse_object(first, "payload")
        shape.learn(claims, first, profile)
    except TokenError:
        return
    alike = [(name, data.draw(VALUES) if data.draw(st.booleans()) else base[name]) for name in base]
    for candidate in (first, written(pairs, tight, escaped), written(alike, tight, escaped)):
        found = shape.read(candidate)
        if found is None:
            continue
        claims = parse_object(candidate, "payload")
        registered = profile.read(claims, candidate)  # raises for another audience
        assert claims["iss"] == profile.issuer
        assert "cnf" not in claims
        assert [getattr(found, name) for name in READ] == [
            getattr(registered, name) for name in READ
        ]


def test_tokens_written_alike_are_read_quickly() -> None:
    """The second token of an issuer is read by the shape of the first, the values being its own."""
    shape, profile = ClaimsShape(), profile_of(good_claims()["iss"])
    claims = [good_claims(jti=f"t{n}", role="ädmin") for n in range(3)]
    payloads = [msgspec.json.encode(each) for each in claims]
    assert shape.read(payloads[0]) is None
    shape.learn(parse_object(payloads[0], "payload"), payloads[0], profile)
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
    for _ in range(2):  # the second token of a header is learned
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


def test_a_header_that_occurs_once_is_not_learned() -> None:
    """To declare a type takes twenty times as long as to read the token, and it never fits."""
    verifier = verifier_of(KEY, cache=None)
    token = make(KEY, good_claims())
    for learned in (0, 1, 1):
        verifier.verify(token)
        [header] = verifier._headers.values()
        assert header.shape._learned == learned


def test_an_issuer_that_never_writes_alike_is_not_learned_for_ever() -> None:
    """Eight forms are learned; after that no more types are declared."""
    shape = ClaimsShape()
    for number in range(20):
        claims = {"iss": "i", "exp": 1_900_000_000, f"claim{number}": 1}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        assert shape.read(payload) is None
        shape.learn(claims, payload, profile_of("i"))
    assert shape._learned == 8


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\0b"])
def test_v17_a_claim_whose_name_needs_an_escape_is_read(name: str) -> None:
    """No field of a type may have such a name, so it is not learned; the token is valid."""
    verifier = verifier_of(KEY, cache=None)
    for _ in range(3):
        assert verifier.verify(make(KEY, good_claims(**{name: 1}))).claims[name] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"iss": "https://evil.example"},
        {"aud": "https://other.example"},
        {"aud": None},
        {"iss": "I"},
    ],
)
def test_v6_v7_a_learned_shape_admits_the_learned_issuer_and_audience_only(other: Any) -> None:
    """Claims of another issuer or audience are left to the long way, which refuses them."""
    shape, profile = ClaimsShape(), profile_of("i", ["a", "b"])
    claims = {"iss": "i", "aud": "a", "exp": 1_900_000_000}
    shape.learn(claims, msgspec.json.encode(claims), profile)
    assert shape.profile is profile
    assert shape.read(msgspec.json.encode(claims | {"aud": "b"})) is not None
    assert shape.read(msgspec.json.encode(claims | other)) is None


def test_v20_a_shape_with_cnf_is_never_learned() -> None:
    """A bound token is always read the long way, which looks for ``cnf``."""
    shape = ClaimsShape()
    claims = {"iss": "i", "exp": 1_900_000_000, "cnf": "x"}
    shape.learn(claims, msgspec.json.encode(claims), profile_of("i"))
    assert shape.read(msgspec.json.encode(claims)) is None


def test_issuers_whose_tokens_have_the_same_header_stay_apart() -> None:
    """V6: one header without a key id, two issuers: each token is its own issuer's."""
    keys = {name: Key.generate("HS256") for name in ("https://a.example", "https://b.example")}
    verifier = Verifier(
        [
            TrustedIssuer(
                issuer=name, audience=ANY_AUDIENCE, keys=KeySet([key]), algorithms=["HS256"]
            )
            for name, key in keys.items()
        ],
        cache=None,
        clock=lambda: NOW,
    )
    header = {"alg": "HS256", "typ": "at+jwt"}
    tokens = {name: make(key, good_claims(iss=name), header) for name, key in keys.items()}
    first, second = keys
    stolen = make(keys[first], good_claims(iss=second), header)
    for _ in range(20):
        assert [verifier.verify(tokens[name]).issuer for name in keys] == [*keys]
        with pytest.raises(InvalidSignature):
            verifier.verify(stolen)


def test_v19_issuers_whose_scopes_have_other_names_are_never_learned() -> None:
    """One header, two issuers: what one calls scope is no scope of the other."""
    names = {"https://a.example": ["scope"], "https://b.example": ["scp"]}
    verifier = Verifier(
        [
            TrustedIssuer(
                issuer=name,
                audience=ANY_AUDIENCE,
                keys=KeySet([KEY]),
                algorithms=["HS256"],
                scope_claims=claims,
            )
            for name, claims in names.items()
        ],
        cache=None,
        clock=lambda: NOW,
    )
    header = {"alg": "HS256", "typ": "at+jwt"}
    tokens = [make(KEY, good_claims(iss=name, scope="a", scp="b"), header) for name in names]
    for _ in range(10):
        assert [verifier.verify(token).scopes for token in tokens] == [("a",), ("b",)]
        assert [verifier.verify(token).scopes for token in reversed(tokens)] == [("b",), ("a",)]


@pytest.mark.parametrize("wrong", [{"token_use": "id"}, {"token_use": True}, {"token_use": ...}])
def test_v19_required_claims_are_checked_however_many_tokens_were_alike(wrong: Any) -> None:
    """A form that was learned would admit any value of the claim."""
    verifier = verifier_of(KEY, required_claims={"token_use": "access"}, cache=None)
    for _ in range(4):
        assert verifier.verify(make(KEY, good_claims(token_use="access")))
        with pytest.raises(InvalidClaim):
            verifier.verify(make(KEY, good_claims(**wrong)))
