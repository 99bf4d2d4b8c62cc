"""Reading another party's key set: a bad key does not affect the others."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import Key
from linqi.errors import InvalidKey
from linqi.jwks.published import PublishedKeys, read_published

EC = Key.generate("ES256", kid="ec")
RSA = Key.generate("RS256", kid="rsa")
ALGORITHMS = ["ES256", "RS256"]


def read(*entries: object, algorithms: list[str] | None = None) -> PublishedKeys:
    """Read a set of `entries`, with a good key at its end."""
    body = json.dumps({"keys": [*entries, EC.public_jwk() | {"kid": "good"}]}).encode()
    return read_published(body, algorithms or ALGORITHMS, 64)


@pytest.mark.parametrize(
    ("entry", "reason", "is_fault"),
    [
        (RSA.public_jwk() | {"use": "enc"}, "not_for_signatures", False),
        (RSA.public_jwk() | {"key_ops": ["encrypt"]}, "not_for_signatures", False),
        (RSA.public_jwk() | {"alg": "RSA-OAEP"}, "other_algorithm", False),
        (RSA.public_jwk() | {"alg": "PS256"}, "other_algorithm", False),
        ({"kty": "oct", "k": "c2VjcmV0" * 8, "alg": "HS256"}, "secret", True),
        (EC.private_jwk(), "private", True),
        (EC.public_jwk() | {"kid": "x", "alg": "RS256"}, "broken", True),
        (EC.public_jwk() | {"kid": "x", "crv": "P-521"}, "broken", True),
        (EC.public_jwk() | {"kid": "x", "y": EC.public_jwk()["x"]}, "broken", True),
        (EC.public_jwk() | {"kid": "k" * 300}, "broken", True),
        (EC.public_jwk() | {"kid": 7}, "broken", True),
        (EC.public_jwk() | {"kid": "a\nb"}, "broken", True),
        (RSA.public_jwk() | {"e": "Aw"}, "broken", True),
        (RSA.public_jwk() | {"n": "AQAB"}, "broken", True),
        ("text", "broken", True),
        (None, "broken", True),
        ([], "broken", True),
    ],
)
def test_j3_a_key_that_is_not_for_us_is_skipped_alone(
    entry: object, reason: str, is_fault: bool
) -> None:
    """J3, V16: with its reason, and whether the issuer should fix it."""
    found = read(entry)
    assert [key.kid for key in found.keys] == ["good"]
    (skipped,) = found.skipped
    assert (skipped.position, skipped.reason, skipped.is_fault) == (0, reason, is_fault)
    assert len(skipped.kid) <= 64


def test_v16_the_first_of_two_keys_with_one_kid_counts() -> None:
    """A second key with the same kid and alg is reported."""
    other = Key.generate("ES256", kid="ec")
    found = read(EC.public_jwk(), other.public_jwk())
    assert found.keys[0].is_same(EC)
    assert found.skipped[0].reason == "duplicate"


def test_v16_one_kid_for_two_algorithms_is_two_keys() -> None:
    """An RSA key published for RS256 and for PS256 under one kid verifies both."""
    both = [RSA.public_jwk() | {"alg": alg} for alg in ("RS256", "PS256")]
    found = read(*both, algorithms=["RS256", "PS256", "ES256"])
    assert [(key.kid, key.alg) for key in found.keys][:2] == [("rsa", "RS256"), ("rsa", "PS256")]
    assert not found.skipped


def test_null_members_count_as_absent() -> None:
    """Also members that would make a key private or one for encryption."""
    nulls = dict.fromkeys(("alg", "use", "key_ops", "d", "p", "q", "k", "x5t", "signs_from"))
    found = read(RSA.public_jwk() | nulls)
    assert [(key.kid, key.alg) for key in found.keys] == [("rsa", "RS256"), ("good", "ES256")]
    assert not found.skipped
    body = json.dumps({"keys": [EC.public_jwk() | {"kid": None}]}).encode()
    bare = read_published(body, ["ES256"], 8)
    assert [key.is_named for key in bare.keys] == [False]


def test_a_byte_order_mark_is_skipped() -> None:
    """One, at the beginning; anything else before the object is not JSON."""
    body = json.dumps({"keys": [EC.public_jwk()]}).encode()
    assert read_published(b"\xef\xbb\xbf" + body, ["ES256"], 8).keys[0].kid == "ec"
    with pytest.raises(InvalidKey, match="strict JSON"):
        read_published(b"\xef\xbb\xbf" * 2 + body, ["ES256"], 8)


def test_a_key_without_alg_takes_the_only_allowed_one() -> None:
    """As Entra publishes them; if two algorithms fit, the key is skipped."""
    bare = {name: value for name, value in RSA.public_jwk().items() if name != "alg"}
    assert read(bare).keys[0].alg == "RS256"
    found = read(bare, algorithms=["ES256", "RS256", "PS256"])
    assert [key.reason for key in found.skipped] == ["other_algorithm"]


def test_tenures_of_others_mean_nothing() -> None:
    """Members of linqi's own key files have no effect on keys of other issuers."""
    found = read(EC.public_jwk() | {"signs_from": "x", "published_until": -1})
    assert found.keys[0].published_until is None
    assert not found.skipped


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"keys": null}', '"keys" array'),
        (b'{"keys": []}', "empty"),
        (b'{"keys": [{"kty": "oct", "k": "AA"}]}', "none of the 1 keys"),
        (b'{"keys": [], "keys": []}', "JSON|member"),
        (b'{"keys": ' + b"[" * 5000 + b"]" * 5000 + b"}", "deep|nest|JSON"),
        (json.dumps({"keys": [{}] * 65}).encode(), "65 keys"),
        (b'{"keys": [NaN]}', "JSON"),
        ('{"keys": ["\ud800"]}'.encode("utf-8", "surrogatepass"), "JSON|UTF-8"),
    ],
)
def test_j3_an_answer_that_is_no_set_says_nothing(body: bytes, text: str) -> None:
    """It counts as a failed fetch, so an older set stays in use."""
    with pytest.raises(InvalidKey, match=text):
        read_published(body, ALGORITHMS, 64)


_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_jwks = st.dictionaries(
    st.sampled_from([*RSA.private_jwk(), *EC.public_jwk(), "k", "key_ops", "x5c"]),
    _values | st.sampled_from([*RSA.public_jwk().values(), *EC.public_jwk().values(), "oct"]),
)


@given(st.lists(_jwks | _values, max_size=6))
def test_v17_no_entry_raises_anything_but_invalid_key(entries: list[object]) -> None:
    """V17: any entry is skipped, or the set is refused."""
    body = json.dumps({"keys": entries}).encode("utf-8", "surrogatepass")
    try:
        found = read_published(body, ALGORITHMS, 64)
    except InvalidKey:
        return
    assert all(not key.can_sign for key in found.keys)


@given(st.binary(max_size=200))
def test_v17_no_body_raises_anything_but_invalid_key(body: bytes) -> None:
    """V17: for any bytes from the network."""
    with pytest.raises(InvalidKey):
        read_published(body, ALGORITHMS, 64)
