"""Keys: loading, strength (V16), binding to one algorithm (V2, V3), and files."""

import json
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from linqi import ALGORITHMS, ConfigurationError, Key, KeySet
from linqi.errors import InvalidKey, UnknownKey
from linqi.jose._key_strength import is_known_secret

RSA_KEY = Key.generate("RS256")
RSA_ALGS = ("RS256", "PS256")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_survives_the_way_through_a_jwk(alg: str) -> None:
    """A key that signs before does so after, with the same kid, and its public half verifies."""
    key = Key.generate(alg)
    again = Key.from_jwk(json.dumps(key.private_jwk()))
    assert (again.alg, again.kid, again.can_sign) == (alg, key.kid, True)
    signature = again.sign(b"data")
    assert key.verify(b"data", signature)
    assert not key.verify(b"date", signature)
    if key.kty != "oct":
        public = Key.from_jwk(key.public_jwk())
        assert not public.can_sign
        assert public.verify(b"data", signature)
        assert not {"d", "p", "q", "k"} & public.public_jwk().keys()


def test_ed448_is_a_curve_of_eddsa() -> None:
    """EdDSA takes both Edwards curves, with signatures of 64 and 114 bytes."""
    key = Key.generate("EdDSA", curve="Ed448")
    assert len(key.sign(b"x")) == 114
    assert key.verify(b"x", key.sign(b"x"))


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA", "RS256", "HS256"])
def test_a_signature_is_the_same_every_time(alg: str) -> None:
    """Two workers that sign the same claims make the same token (RFC 6979 for ECDSA)."""
    key = Key.generate(alg)
    assert key.sign(b"claims") == key.sign(b"claims")


@pytest.mark.parametrize(
    ("material", "alg"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "PS256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["rsa", "ec", "ed"],
)
def test_a_pem_is_read_as_private_and_as_public_key(material: object, alg: str) -> None:
    """PKCS#8 signs, SubjectPublicKeyInfo verifies."""
    private = material.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    public = material.public_key().public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = Key.from_pem(private, alg, password=b"word").sign(b"data")
    assert Key.from_pem(public, alg).verify(b"data", signature)
    with pytest.raises(InvalidKey):
        Key.from_pem(private, alg)


def pem(alg: str) -> bytes:
    """Return the public key of a new key as PEM."""
    material = ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else None
    assert material
    return material.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (b"short", "at least 32"),
        (b"", "empty"),
        (b"a" * 64, "repeats"),
        (b"ab" * 32, "repeats"),
        (b"your-256-bit-secret-your-256-bit-secret"[:31], "at least 32"),
    ],
)
def test_v16_a_weak_secret_is_refused(secret: bytes, says: str) -> None:
    """Too short for the hash, or a pattern: the message says what to do instead."""
    with pytest.raises(InvalidKey, match=says):
        Key.from_secret(secret, "HS256")


def test_v16_a_secret_needs_as_many_bytes_as_the_hash() -> None:
    """48 bytes for HS384 and 64 for HS512 (RFC 7518, section 3.2)."""
    secret = bytes(range(47))
    with pytest.raises(InvalidKey, match="47 bytes, HS384 needs at least 48"):
        Key.from_secret(secret, "HS384")
    Key.from_secret(secret + b"x", "HS384")


def test_v16_a_publicly_known_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of digests is shipped, and a secret on it cannot make a key."""
    lines = Path(__file__).parent.parent / "middleware/linqi/jose/weak_secrets.txt"
    assert sum(not line.startswith("#") for line in lines.read_text().splitlines()) >= 1800
    known = b"this-is-a-very-long-secret-for-testing"
    assert not is_known_secret(known)
    import hashlib

    digest = hashlib.sha256(known).hexdigest()[:16]
    monkeypatch.setattr("linqi.jose._key_strength._known_digests", lambda: frozenset({digest}))
    with pytest.raises(InvalidKey, match="public list"):
        Key.from_secret(known)


@pytest.mark.parametrize("text", [pem("ES256"), json.dumps(RSA_KEY.public_jwk()).encode()])
def test_cve_2022_29217_public_key_text_is_no_hmac_secret(text: bytes) -> None:
    """PEM or JWK text as a secret is the first step of algorithm confusion."""
    with pytest.raises(InvalidKey):
        Key.from_secret(text, "HS256")


def test_v16_weak_rsa_keys_are_refused() -> None:
    """RSA takes at least 2048 bits and an exponent of at least 65537."""
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    odd = rsa.generate_private_key(public_exponent=3, key_size=2048)
    for material, says in ((small, "1024 bits"), (odd, "exponent is 3")):
        with pytest.raises(InvalidKey, match=says):
            Key(material, "RS256")


def test_v2_a_curve_belongs_to_its_algorithm() -> None:
    """A P-256 key is no key for ES384, an RSA key none for ES256."""
    jwk = Key.generate("ES256").private_jwk()
    with pytest.raises(InvalidKey):
        Key.from_jwk({**jwk, "alg": "ES384"})
    with pytest.raises(InvalidKey, match="expected 'ES384'"):
        Key.from_jwk(jwk, "ES384")
    with pytest.raises(InvalidKey, match="kty"):
        Key.from_jwk({**RSA_KEY.public_jwk(), "alg": "ES256"})


@pytest.mark.parametrize(
    "change",
    [
        *({"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}, {"kid": 7}, {"kid": ""}),
        *({"alg": "none"}, {"alg": ["RS256"]}, {"alg": None}, {"n": "AQAB"}, {"e": "AQ"}),
        {"kty": "oct"},
    ],
)
def test_v16_an_odd_jwk_is_refused(change: dict[str, object]) -> None:
    """Use, operations, kid, algorithm and numbers are checked when the key is made."""
    with pytest.raises(InvalidKey):
        Key.from_jwk({**RSA_KEY.public_jwk(), **change})


@pytest.mark.parametrize("jwk", ["", "[]", "{", b"\xff", "{}", "null", "7"])
def test_what_is_no_jwk_is_an_invalid_key(jwk: str | bytes) -> None:
    """Text that is not a JWK gives one clear error."""
    with pytest.raises(InvalidKey):
        Key.from_jwk(jwk, "RS256")


def test_a_key_is_immutable_and_keeps_its_secret() -> None:
    """No attribute can be set, and neither repr nor pickle gives the secret away."""
    key = Key.from_secret(b"0123456789abcdefghijklmnopqrstuv")
    with pytest.raises(AttributeError):
        key.alg = "none"
    with pytest.raises(AttributeError):
        del key.alg
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert "0123456789" not in repr(key) + str(key)
    with pytest.raises(InvalidKey):
        key.public_jwk()
    with pytest.raises(InvalidKey):
        RSA_KEY.public_half().private_jwk()


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_cve_2022_21449_a_zero_in_a_signature_fits_nothing(alg: str) -> None:
    """Either number being zero, or the order of the curve or more, verifies no data."""
    key = Key.generate(alg)
    width = len(key.sign(b"data")) // 2
    one, most = (1).to_bytes(width, "big"), b"\xff" * width
    for signature in (bytes(width) + one, one + bytes(width), bytes(2 * width), most + most):
        assert not key.verify(b"data", signature)


def test_the_thumbprint_is_rfc_7638s() -> None:
    """The example of RFC 7638, section 3.1."""
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",  # noqa: E501
        "e": "AQAB",
        "alg": "RS256",
    }
    assert Key.from_jwk(jwk).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_v5_a_missing_kid_fits_only_a_single_key() -> None:
    """Without kid the one key for the algorithm counts; with two, none does."""
    first, second = Key.generate("ES256"), Key.generate("ES256")
    assert KeySet([first]).find("ES256", None) is first
    with pytest.raises(UnknownKey):
        KeySet([first, second]).find("ES256", None)
    assert KeySet([first, second]).find("ES256", second.kid) is second


def test_v4_an_unknown_kid_is_never_any_key() -> None:
    """A kid that is not in the set, or is for another algorithm, finds nothing."""
    key = Key.generate("ES256")
    for alg, kid in (("ES256", "other"), ("RS256", key.kid), ("RS256", None)):
        with pytest.raises(UnknownKey):
            KeySet([key]).find(alg, kid)


def test_v16_one_kid_for_two_algorithms_is_two_keys() -> None:
    """Each is found by kid and alg together, and withdrawn by the kid that they share."""
    rsa_pair = [Key.from_jwk(RSA_KEY.private_jwk() | {"alg": alg, "kid": "a"}) for alg in RSA_ALGS]
    keys = KeySet([*rsa_pair, Key.generate("ES256", kid="b")])
    for key in rsa_pair:
        assert keys.find(key.alg, "a") is key
    with pytest.raises(UnknownKey):
        keys.find("ES256", "a")
    keys.replace([keys.keys[1], keys.keys[2]])
    assert keys.generation == 1, "the key for RS256 is gone, though its kid is not"
    keys.remove("a")
    assert [key.kid for key in keys.keys] == ["b"]


def test_v5_the_only_key_without_a_kid_fits_whatever_kid_a_token_names() -> None:
    """A PEM or a JWK without kid does not know its issuer's key id; the alg still decides."""
    material = RSA_KEY.public_jwk()
    bare = {name: value for name, value in material.items() if name != "kid"}
    key = Key.from_jwk(bare)
    keys = KeySet([key])
    assert keys.find("RS256", "whatever") is keys.find("RS256", key.kid) is key
    for alg in ("PS256", "ES256"):
        with pytest.raises(UnknownKey):
            keys.find(alg, "whatever")
    named = KeySet([Key.from_jwk(material)])
    with pytest.raises(UnknownKey):
        named.find("RS256", "whatever")
    keys.add(Key.generate("ES256", kid="other"))
    with pytest.raises(UnknownKey):
        keys.find("RS256", "whatever")
    assert keys.find("RS256", key.kid) is key
    for again in (key.with_tenure(signs_from=5, published_until=None), key.public_half()):
        assert not again.is_named
    assert Key.generate("ES256").is_named


def test_null_members_of_a_jwk_count_as_absent() -> None:
    """Some libraries write every member they know, null where there is nothing to say."""
    nulls = dict.fromkeys(("use", "key_ops", "kid", "d", "signs_from", "published_until", "x5c"))
    key = Key.from_jwk(RSA_KEY.public_jwk() | nulls | {"alg": None}, "RS256")
    assert (key.can_sign, key.is_named, key.thumbprint) == (False, False, RSA_KEY.thumbprint)
    jwks = json.dumps({"keys": [RSA_KEY.public_jwk() | nulls | {"alg": None}]})
    assert KeySet.from_jwks(jwks, ["RS256"]).keys[0].alg == "RS256"


@pytest.mark.parametrize("kind", [str, bytes])
def test_a_byte_order_mark_before_a_jwks_is_skipped(kind: type[str] | type[bytes]) -> None:
    """Editors on Windows write one (RFC 8259, section 8.1)."""
    text = "\ufeff" + json.dumps({"keys": [RSA_KEY.public_jwk()]})
    jwks = text if kind is str else text.encode()
    assert KeySet.from_jwks(jwks).keys[0].kid == RSA_KEY.kid


def test_v3_v16_a_set_reports_every_fault_together() -> None:
    """Secrets beside asymmetric keys, and two keys of one kid and alg, in one error."""
    secret = Key.generate("HS256", kid="a")
    pairs = [Key.generate("ES256", kid="a") for _ in range(2)]
    with pytest.raises(ConfigurationError, match="for ES256 share kid 'a'") as caught:
        KeySet([secret, *pairs])
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigurationError, match="empty"):
        KeySet([])


def test_the_newest_key_signs_and_removal_raises_the_generation() -> None:
    """The last key that can sign signs; only a removal makes cached verifications stale."""
    old, new = Key.generate("ES256"), Key.generate("ES256")
    keys = KeySet([old])
    keys.add(new)
    assert (keys.signing_key(), keys.generation) == (new, 0)
    keys.remove(new.kid)
    assert (keys.signing_key(), keys.generation) == (old, 1)
    with pytest.raises(InvalidKey):
        keys.remove(new.kid)
    with pytest.raises(ConfigurationError):
        keys.remove(old.kid)
    with pytest.raises(InvalidKey):
        KeySet([old.public_half()]).signing_key()


def test_a_saved_set_is_private_and_loads_again(tmp_path: Path) -> None:
    """The file has mode 0600, replaces an older one whole, and leaves nothing beside it."""
    keys = KeySet([Key.generate("ES256"), Key.generate("RS256").public_half()])
    path = tmp_path / "keys.json"
    keys.save(path)
    keys.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [path]
    assert [key.kid for key in KeySet.load(path).keys] == [key.kid for key in keys.keys]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    """A folder that cannot be written gives OSError and no half file."""
    with pytest.raises(OSError, match="missing"):
        KeySet([Key.generate("ES256")]).save(tmp_path / "missing" / "keys.json")


def test_a_jwks_without_alg_takes_the_only_algorithm_that_fits() -> None:
    """Entra publishes RSA keys without alg: one listed algorithm of that type decides."""
    jwk = RSA_KEY.public_jwk()
    del jwk["alg"]
    assert KeySet.from_jwks({"keys": [jwk]}, ["RS256", "ES256"]).keys[0].alg == "RS256"
    with pytest.raises(ConfigurationError, match="names no alg"):
        KeySet.from_jwks({"keys": [jwk, jwk]}, ["RS256", "PS256"])
    curve = Key.generate("ES384").public_jwk()
    del curve["alg"]
    assert KeySet.from_jwks(json.dumps({"keys": [curve]})).keys[0].alg == "ES384"
    with pytest.raises(InvalidKey):
        KeySet.from_jwks('{"keys": 7}')
