"""Ed25519: libsodium and OpenSSL have one verdict, and what they would disagree on is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nacl.bindings
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import BadSignatureError

from ed25519_points import IDENTITY, ORDER, PRIME, TORSION, encoded, hashed, signed
from linqi import Key
from linqi.errors import InvalidKey
from linqi.jose import _ed25519
from linqi.jose._ed25519 import check_by_libsodium, check_by_openssl, ed25519_checker, is_degenerate

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parent / "vectors/ed25519.jsonl").read_text().splitlines()
]
FIELDS = ("key", "message", "signature")
SMALL_ORDER = {encoded(point) for point in TORSION}
SCALARS = st.integers(1, ORDER - 1)


def holds(check: Callable[..., object], *arguments: bytes) -> bool:
    """Return whether a check does not raise."""
    try:
        check(*arguments)
    except Exception:  # noqa: BLE001 - any error is a wrong signature, as for `Key.verify`
        return False
    return True


def by_openssl_alone(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return what OpenSSL says without linqi."""
    public = Ed25519PublicKey.from_public_bytes(key)
    return holds(public.verify, signature, message)


def by_libsodium_alone(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return what libsodium says without linqi."""
    whole = len(signature) == 64
    return whole and holds(nacl.bindings.crypto_sign_open, signature + message, key)


def verdict(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return the verdict of `Key.verify`, the same by either library and for either algorithm."""
    verdicts = set()
    for alg, by in (
        ("EdDSA", check_by_openssl),
        ("Ed25519", lambda public: check_by_libsodium(public, nacl.bindings.crypto_sign_open)),
        ("Ed25519", check_by_openssl),
        ("EdDSA", lambda public: check_by_libsodium(public, nacl.bindings.crypto_sign_open)),
    ):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(_ed25519, "ed25519_checker", by)
            try:
                made = Key(Ed25519PublicKey.from_public_bytes(key), alg)
            except InvalidKey:
                verdicts.add(False)
            else:
                verdicts.add(made.verify(message, signature))
    assert len(verdicts) == 1, "the two libraries disagree"
    return verdicts.pop()


def test_libsodium_is_used_where_it_is_installed() -> None:
    """The extra is in force in this environment."""
    assert _ed25519._libsodium() is nacl.bindings.crypto_sign_open
    key = Key.generate("EdDSA")
    assert key._check.__qualname__.startswith("check_by_libsodium")


def test_a_libsodium_with_another_equation_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that multiplies by the cofactor would accept what OpenSSL refuses."""
    monkeypatch.setattr(nacl.bindings, "crypto_sign_open", lambda signed, key: b"")
    _ed25519._libsodium.cache_clear()
    try:
        public = Ed25519PrivateKey.generate().public_key()
        assert ed25519_checker(public).__qualname__.startswith("check_by_openssl")
    finally:
        monkeypatch.undo()
        _ed25519._libsodium.cache_clear()


def test_the_probe_is_a_signature_for_the_equation_with_the_cofactor_only() -> None:
    """R of the probe is a good one plus a point of order 8, so a right library refuses it."""
    key, signature = _ed25519._COFACTOR_KEY, _ed25519._COFACTOR_SIGNATURE
    assert not by_openssl_alone(key, b"", signature)
    with pytest.raises(BadSignatureError):
        nacl.bindings.crypto_sign_open(signature, key)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_v22_a_published_vector_has_one_verdict(vector: dict[str, Any]) -> None:
    """What is valid is accepted, what is invalid refused; the rest by both or by none."""
    key, message, signature = (bytes.fromhex(vector[name]) for name in FIELDS)
    found = verdict(key, message, signature)
    if vector["published"] in ("valid", "invalid"):
        assert found == (vector["published"] == "valid")
    if key in SMALL_ORDER or signature[:32] in SMALL_ORDER:
        assert not found


def test_the_points_of_small_order_are_known() -> None:
    """The eight that the curve has, and two with x = 0 and its sign set; -y is prime minus y."""
    spellings = {(y | 1 << 255).to_bytes(32, "little") for y in (1, PRIME - 1)}
    assert SMALL_ORDER | spellings == _ed25519._SMALL_ORDER


def test_the_vectors_contain_disagreements() -> None:
    """Without linqi the libraries differ on some of them, in one direction only."""
    inputs = [[bytes.fromhex(vector[name]) for name in FIELDS] for vector in VECTORS]
    differ = [i for i in inputs if by_openssl_alone(*i) != by_libsodium_alone(*i)]
    assert len(VECTORS) == 220
    assert len(differ) >= 8
    assert all(by_openssl_alone(*each) for each in differ)
    assert not any(verdict(*each) for each in differ)


@given(
    secret=st.one_of(st.just(0), SCALARS),
    nonce=st.one_of(st.just(0), SCALARS),
    message=st.binary(max_size=40),
    key_torsion=st.integers(0, 7),
    r_torsion=st.integers(0, 7),
    shift=st.integers(0, 3),
    flip=st.one_of(st.none(), st.integers(0, 511)),
)
def test_v22_keys_and_signatures_of_any_order_have_one_verdict(
    secret: int,
    nonce: int,
    message: bytes,
    key_torsion: int,
    r_torsion: int,
    shift: int,
    flip: int | None,
) -> None:
    """Points of small and mixed order, scalars of other spellings and changed bits.

    An honest signature is accepted, and nothing is that OpenSSL alone refuses.
    """
    key, signature = signed(secret, nonce, message, key_torsion, r_torsion)
    scalar = int.from_bytes(signature[32:], "little") + shift * ORDER
    signature = signature[:32] + scalar.to_bytes(32, "little")
    if flip is not None:
        changed = bytearray(signature)
        changed[flip // 8] ^= 1 << flip % 8
        signature = bytes(changed)
    found = verdict(key, message, signature)
    honest = not any((key_torsion, r_torsion, shift)) and flip is None and secret and nonce
    if honest:
        assert found
    if key in SMALL_ORDER or signature[:32] in SMALL_ORDER or shift:
        assert not found
    assert not found or by_openssl_alone(key, message, signature)


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
def test_v22_an_honest_signature_is_accepted_by_both(seed: bytes, message: bytes) -> None:
    """Neither library, nor what is refused before them, hurts a token of an issuer."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert verdict(key, message, signature)
    assert not verdict(key, message + b"x", signature)


@given(y=st.integers(0, 18), sign=st.integers(0, 1))
def test_v16_a_key_in_another_encoding_is_refused(y: int, sign: int) -> None:
    """RFC 8032, section 5.1.3: y is below the prime; libsodium refuses the rest, OpenSSL does not.

    The same holds for x = 0 with its sign set.
    """
    other = (y + PRIME | sign << 255).to_bytes(32, "little")
    assert is_degenerate(other)
    for alg in ("EdDSA", "Ed25519"):
        with pytest.raises(InvalidKey, match="small order"):
            Key(Ed25519PublicKey.from_public_bytes(other), alg)
    for number in (1, PRIME - 1):
        assert is_degenerate((number | 1 << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("key", sorted(SMALL_ORDER), ids=lambda key: key.hex()[:8])
def test_v16_a_key_of_small_order_is_refused(key: bytes) -> None:
    """OpenSSL accepts a signature that anyone can make: R is the identity, and the scalar zero."""
    r = encoded(IDENTITY)
    forged = r + bytes(32)
    message = next(b"%d" % n for n in range(10_000) if hashed(r, key, b"%d" % n) % 8 == 0)
    assert by_openssl_alone(key, message, forged)
    assert not by_libsodium_alone(key, message, forged)
    for alg in ("EdDSA", "Ed25519"):
        with pytest.raises(InvalidKey, match="small order"):
            Key(Ed25519PublicKey.from_public_bytes(key), alg)
