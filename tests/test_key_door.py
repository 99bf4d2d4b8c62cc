"""The door to the libraries of keys: what is done here is what PyJWT would do."""

import hmac
import json
import re
import secrets
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jwt.algorithms
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linqi.errors import InvalidKey
from linqi.jose import _jwk, _jws
from linqi.jose.key import Key

MATERIALS: dict[str, Any] = {}
PYJWT: dict[str, Any] = jwt.algorithms.get_default_algorithms()
PYJWT |= dict.fromkeys(("Ed25519", "Ed448"), PYJWT["EdDSA"])  # it has no names of RFC 9864
TEXT = "ABCZabcz019+/_-="


def key_of(alg: str) -> Key:
    """Return one key of `alg` for all tests."""
    if alg not in MATERIALS:
        MATERIALS[alg] = Key.generate(alg)
    key: Key = MATERIALS[alg]
    return key


@pytest.mark.parametrize("alg", _jws.ALGORITHMS)
def test_a_signature_is_one_for_pyjwt(alg: str) -> None:
    """Both verify what the other one signed."""
    key, data = key_of(alg), b"header.payload"
    ours, theirs = key.sign(data), PYJWT[alg].sign(data, key._material)
    assert PYJWT[alg].verify(data, key._public, ours)
    assert key.verify(data, theirs)
    assert not key.verify(data + b"x", ours)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@given(st.data())
def test_an_hmac_is_the_one_of_rfc_2104(alg: str, data: st.DataObject) -> None:
    """Of secrets shorter and longer than a block of the hash, it is that of the standard library.

    V18: the one MAC is accepted, and a change of any bit of it is not.
    """
    secret = data.draw(st.binary(min_size=64, max_size=300).filter(lambda s: len(set(s)) > 8))
    text = data.draw(st.binary(max_size=300))
    mac = hmac.digest(secret, text, f"sha{alg[2:]}")
    key = Key(secret, alg)
    assert key.sign(text) == mac
    assert key.verify(text, mac)
    place = data.draw(st.integers(0, len(mac) * 8 - 1))
    changed = bytearray(mac)
    changed[place // 8] ^= 1 << place % 8
    assert not key.verify(text, bytes(changed))


def test_v18_macs_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2016-7036: the comparison is `hmac.compare_digest`, of the whole MAC."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append((ours, theirs))
        return hmac.compare_digest(ours, theirs)

    monkeypatch.setattr(_jws, "hmac", SimpleNamespace(compare_digest=compare))
    key, wrong = Key.generate("HS256"), bytes(32)
    assert not key.verify(b"data", wrong)
    [(ours, theirs)] = compared
    assert (len(ours), theirs) == (32, wrong)


@pytest.mark.parametrize("alg", _jws.ALGORITHMS)
def test_the_public_members_are_those_of_pyjwt(alg: str) -> None:
    """For a secret they are its JWK; leading zeros of coordinates are kept."""
    for key in [key_of(alg), *(Key.generate(alg) for _ in range(100 if alg == "ES256" else 0))]:
        written = PYJWT[alg].to_jwk(key._public, as_dict=True)
        written.pop("key_ops", None)
        assert _jwk.public_members(key._public) == written


def test_the_public_members_of_ed448_are_those_of_pyjwt() -> None:
    """``EdDSA`` has two curves."""
    key = Key.generate("EdDSA", curve="Ed448")
    written = PYJWT["EdDSA"].to_jwk(key._public, as_dict=True)
    assert _jwk.public_members(key._public) == written


PIECES = [
    b"0",
    b"-----BEGIN ",
    b"-----END ",
    b"PUBLIC KEY-----",
    b"ssh-rsa ",
    b"ecdsa-sha2-nistp256",
]
PIECES += [b"{", b'"kty"', b":", b'"oct"', b"}", b"[", b" ", b"\xef\xbb\xbf", b"\xff\xfe", b"\x03"]
SECRETS = st.one_of(
    st.binary(min_size=1, max_size=90),
    st.text(TEXT, min_size=1).map(str.encode),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), min_size=1).map(b"".join),
    st.sampled_from(["utf-16", "utf-16-be", "utf-32", "utf-32-le"]).map('{"kty": "oct"}'.encode),
)


@given(SECRETS)
@example(b"{" * 3000)
@example(b'{"a":' * 3000)
@example(b"[" * 3000 + b'"kty":')
def test_a_secret_that_is_not_shown_to_pyjwt_would_pass_its_checks(secret: bytes) -> None:
    """PyJWT is imported only for what may be another kind of key (CVE-2022-29217)."""
    if not _jws._may_be_key(secret):
        assert PYJWT["HS256"].prepare_key(secret) == secret


def test_random_bytes_are_read_without_pyjwt() -> None:
    """A secret in letters, and nearly every random one, needs no second library."""
    made = [secrets.token_bytes(64) for _ in range(1000)]
    assert sum(map(_jws._may_be_key, made)) < 100
    assert not any(_jws._may_be_key(secret.hex().encode()) for secret in made)


KINDS = ["HS256", "RS256", "ES256", "ES512", "EdDSA Ed25519", "EdDSA Ed448"]
MADE = {kind: Key.generate(kind[:5], curve=kind[6:] or "Ed25519") for kind in KINDS}
JWKS: dict[str, dict[str, Any]] = {
    f"{kind} {half}": PYJWT[key.alg].to_jwk(material, as_dict=True)
    for kind, key in MADE.items()
    for half, material in (("private", key._material), ("public", key._public))
}


@pytest.mark.parametrize("name", JWKS)
def test_a_jwk_is_read_and_written_as_pyjwt_does(name: str) -> None:
    """The private members are PyJWT's too, with leading zeros where the standard asks for them."""
    alg, jwk = name.split()[0], JWKS[name] | {"key_ops": ["sign", "verify"]}
    key = Key.from_jwk(jwk, alg)
    assert key.can_sign == ("d" in jwk or "k" in jwk)
    theirs = {member: value for member, value in jwk.items() if member != "key_ops"}
    assert members_of(key._material) == theirs


VALUES = st.one_of(
    st.text("AQgw_-+/= \n!\u00e9", max_size=90),
    st.sampled_from([None, 7, True, [], {}, "P-256", "P-384", "secp256k1", "Ed25519", "Ed448"]),
)


@pytest.mark.parametrize("name", JWKS)
@pytest.mark.parametrize("text", ["=", "===="])
def test_a_member_of_padding_alone_is_refused(name: str, text: str) -> None:
    """It has no bytes: an empty secret or number is no key."""
    alg, jwk = name.split()[0], JWKS[name]
    for member in jwk.keys() - {"kty", "crv", "key_ops"}:
        with pytest.raises(InvalidKey, match="no text in base64url"):
            _jws.algorithm(alg).read_jwk(jwk | {member: text})


@given(st.sampled_from(sorted(JWKS)), st.data())
def test_a_changed_jwk_is_refused_where_pyjwt_refuses_it(name: str, data: st.DataObject) -> None:
    """Beyond what PyJWT refuses, values with characters outside base64 are."""
    alg, jwk = name.split()[0], dict(JWKS[name])
    member = data.draw(st.sampled_from(sorted(jwk)))
    change = data.draw(st.sampled_from(["drop", "cut", "pad", "zero", "last", "replace", "add"]))
    if change == "drop":
        del jwk[member]
    elif change == "add":
        jwk[data.draw(st.sampled_from(["d", "p", "oth", "k", "x"]))] = data.draw(VALUES)
    else:
        text = jwk[member] if isinstance(jwk[member], str) else "AQAB"
        changes = {
            "cut": text[:-2],
            "pad": text + "==",
            "zero": "AAAA" + text,
            "last": text[:-1] + "B",
        }
        jwk[member] = changes.get(change) if change != "replace" else data.draw(VALUES)
    theirs = outcome(lambda: PYJWT[alg].prepare_key(PYJWT[alg].from_jwk(jwk)))
    ours = outcome(lambda: _jws.algorithm(alg).read_jwk(jwk))
    if ours is not None:
        assert theirs is not None
        assert members_of(ours) == members_of(theirs)
    elif theirs is not None:
        texts = [text for name, text in jwk.items() if name not in ("kty", "crv")]
        assert any(re.search("[^A-Za-z0-9+/_=-]|=.*[^=]", str(text)) for text in texts)


def outcome(read: Callable[[], Any]) -> Any:
    """Return what `read` returns, or None if it raises."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - either library's
        return None


def members_of(material: Any) -> dict[str, str]:
    """Return all members of a key object or a secret."""
    return (
        _jwk.write_material(material) if _jws.can_sign(material) else _jwk.public_members(material)
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"oth": []}, "more than two primes"),
        ({"d": "AQAB"}, "RS256"),
        ({"p": None}, "its p is no text"),
        ({"n": "AB CD"}, "its n has characters outside base64url"),
    ],
)
def test_a_private_rsa_jwk_with_a_fault_is_refused(change: dict[str, Any], says: str) -> None:
    """The message names the member, and shows nothing of a key."""
    jwk = JWKS["RS256 private"] | change
    with pytest.raises(InvalidKey, match=says) as caught:
        _jws.algorithm("RS256").read_jwk(jwk)
    assert jwk["q"][:12] not in str(caught.value)


def test_an_rsa_jwk_may_leave_out_the_factors() -> None:
    """They are computed from ``d`` (RFC 7518, section 6.3.2)."""
    jwk = JWKS["RS256 private"]
    bare = {name: jwk[name] for name in ("kty", "n", "e", "d")}
    material = _jws.algorithm("RS256").read_jwk(bare)
    assert _jwk.write_material(material)["d"] == jwk["d"]
    with pytest.raises(InvalidKey, match="its q is no text"):
        _jws.algorithm("RS256").read_jwk(bare | {"p": jwk["p"]})


def test_a_private_half_of_another_key_is_refused() -> None:
    """Else a token would be signed by one key and verified by another."""
    for kind in KINDS[2:]:
        other = Key.generate(kind[:5], curve=kind[6:] or "Ed25519").private_jwk()
        with pytest.raises(InvalidKey):
            Key.from_jwk(JWKS[f"{kind} private"] | {"d": other["d"]}, kind[:5])


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("form", ["jwk", "der", "ssh"])
def test_no_other_key_counts_as_a_secret(alg: str, form: str) -> None:
    """Else anyone who has a public key could sign with it (CVE-2022-29217)."""
    from cryptography.hazmat.primitives import serialization as forms

    key = key_of(alg)
    kinds = {
        "der": (forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo),
        "ssh": (forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH),
    }
    text = (
        json.dumps(key.public_jwk()).encode()
        if form == "jwk"
        else key._public.public_bytes(*kinds[form])
    )
    for secret in (text, text.split()[0] + b"A" * 40 if form == "ssh" else text):
        with pytest.raises(InvalidKey):
            Key.from_secret(secret)


@pytest.mark.parametrize(("alg", "other"), [("ES256", "ES384"), ("ES384", "ES512")])
def test_a_pem_of_another_curve_is_refused(alg: str, other: str) -> None:
    """An algorithm has one curve (RFC 7518, section 3.4)."""
    from cryptography.hazmat.primitives import serialization as forms

    pem = key_of(other)._public.public_bytes(
        forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InvalidKey, match="its curve is secp"):
        Key.from_pem(pem, alg)
