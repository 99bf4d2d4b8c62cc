"""RSA keys with the fingerprint of ROCA (CVE-2017-15361), which can be factored, are refused."""

import json
import math
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from linqi import Key
from linqi._base64url import encode as encode_segment
from linqi.errors import InvalidKey
from linqi.jose._roca import has_roca_fingerprint
from linqi.jwks.published import read_published

VECTORS = json.loads((Path(__file__).parent / "vectors/roca.json").read_text())
FINGERPRINTED = {name: int(value, 16) for name, value in VECTORS["fingerprinted"].items()}
OTHER = {name: int(value, 16) for name, value in VECTORS["other"].items()}
PRIMES = [n for n in range(2, 702) if all(n % m for m in range(2, math.isqrt(n) + 1))]


def public(modulus: int) -> rsa.RSAPublicKey:
    """Return the public key of a modulus."""
    return rsa.RSAPublicNumbers(65537, modulus).public_key()


def roca_prime(drawn: random.Random, bits: int) -> int:
    """Return a prime as RSALib made it for keys of 1,984 bits and more."""
    primorial = math.prod(PRIMES)
    while True:
        factor = drawn.getrandbits(bits - primorial.bit_length()) | 1 << (
            bits - primorial.bit_length() - 1
        )
        prime = factor * primorial + pow(65537, drawn.getrandbits(256), primorial)
        if pow(2, prime - 1, prime) == 1:
            return prime


@pytest.mark.parametrize("name", FINGERPRINTED)
def test_cve_2017_15361_published_moduli_are_recognised(name: str) -> None:
    """Each modulus that the published detector calls vulnerable, of 512 to 4,096 bits."""
    assert has_roca_fingerprint(FINGERPRINTED[name])


@pytest.mark.parametrize("name", OTHER)
def test_published_sound_moduli_pass(name: str) -> None:
    """The published detector's others; ``fake_mods`` deceive a test of each prime on its own."""
    assert not has_roca_fingerprint(OTHER[name])


def test_v16_a_key_with_the_fingerprint_is_refused() -> None:
    """From a PEM, a JWK or an object of the library."""
    key = public(FINGERPRINTED["mod03.txt"])
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InvalidKey, match="CVE-2017-15361"):
        Key.from_pem(pem, "RS256")
    with pytest.raises(InvalidKey, match="CVE-2017-15361"):
        Key(public(FINGERPRINTED["mod09.txt"]), "PS512")


def test_v16_a_fetched_key_with_the_fingerprint_is_skipped() -> None:
    """The set is used without it, and the reason says which fault it is."""
    good = Key.generate("RS256")
    weak = dict(good.public_jwk(), kid="weak")
    number = FINGERPRINTED["mod03.txt"].to_bytes(256, "big")
    weak["n"] = encode_segment(number).decode()
    body = json.dumps({"keys": [weak, good.public_jwk()]}).encode()
    published = read_published(body, ["RS256"], 8)
    assert [key.kid for key in published.keys] == [good.kid]
    (skipped,) = published.skipped
    assert (skipped.kid, skipped.is_fault) == ("weak", True)
    assert "CVE-2017-15361" in skipped.detail


@pytest.mark.parametrize("seed", range(3))
def test_a_modulus_made_like_the_library_did_is_recognised(seed: int) -> None:
    """2,048 bits: both primes are powers of 65537 modulo the first 126 primes."""
    drawn = random.Random(seed)
    modulus = roca_prime(drawn, 1024) * roca_prime(drawn, 1024)
    assert modulus.bit_length() in (2047, 2048)
    assert has_roca_fingerprint(modulus)


def test_ordinary_moduli_pass() -> None:
    """5,000 numbers of 2,048 bits without a small factor, as every RSA modulus is."""
    drawn, primorial = random.Random(15361), math.prod(PRIMES)
    moduli = []
    while len(moduli) < 5000:
        number = drawn.getrandbits(2048) | 1 << 2047 | 1
        if math.gcd(number, primorial) == 1:
            moduli.append(number)
    assert not any(has_roca_fingerprint(modulus) for modulus in moduli)


def test_ordinary_keys_pass() -> None:
    """Keys that a sound generator makes are never refused."""
    for _ in range(10):
        Key.generate("RS256")
