"""Key objects from the members of JWKs, and JWKs of key objects (RFC 7518, 6; RFC 8037, 2).

`cryptography` makes each object from its numbers and refuses numbers that are no key: a point
that is not on its curve, an RSA key whose private members do not belong to its public ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from linqi import _base64url
from linqi.errors import InvalidKey

__all__ = ["public_members", "read_material", "write_material"]

_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}
_CURVE_OF_BITS: Final = {curve().key_size: name for name, curve in _CURVES.items()}
_EDWARDS: Final[dict[str, tuple[Any, Any]]] = {
    "Ed25519": (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
    "Ed448": (ed448.Ed448PublicKey, ed448.Ed448PrivateKey),
}
_RSA_FACTORS: Final = ("p", "q", "dp", "dq", "qi")


def read_material(jwk: Mapping[str, Any]) -> Any:
    """Return the secret or the key object of a JWK whose ``kty`` is known.

    Raises:
        InvalidKey: A member is missing, or is no base64url.
        ValueError: The numbers are no key.

    """
    return {"oct": _read_secret, "RSA": _read_rsa, "EC": _read_ec, "OKP": _read_okp}[jwk["kty"]](
        jwk
    )


def public_members(material: Any) -> dict[str, str]:
    """Return the required members of a secret's or public key's JWK (RFC 7638, section 3.2)."""
    if isinstance(material, bytes):
        return {"kty": "oct", "k": _text(material)}
    if isinstance(material, rsa.RSAPublicKey):
        modulus = material.public_numbers()
        return {"kty": "RSA", "n": _integer(modulus.n), "e": _integer(modulus.e)}
    if isinstance(material, ec.EllipticCurvePublicKey):
        point, bits = material.public_numbers(), material.key_size
        x, y = _integer(point.x, bits), _integer(point.y, bits)
        return {"kty": "EC", "crv": _CURVE_OF_BITS[bits], "x": x, "y": y}
    curve = "Ed25519" if isinstance(material, ed25519.Ed25519PublicKey) else "Ed448"
    return {"kty": "OKP", "crv": curve, "x": _text(material.public_bytes_raw())}


def write_material(material: Any) -> dict[str, str]:
    """Return the JWK of a secret or a private key, with its private members."""
    if isinstance(material, bytes):
        return public_members(material)
    return public_members(material.public_key()) | _private_members(material)


def _private_members(material: Any) -> dict[str, str]:
    if isinstance(material, rsa.RSAPrivateKey):
        rsa_numbers = material.private_numbers()
        factors = (
            *(rsa_numbers.p, rsa_numbers.q, rsa_numbers.dmp1, rsa_numbers.dmq1),
            rsa_numbers.iqmp,
        )
        written = dict(zip(_RSA_FACTORS, map(_integer, factors), strict=True))
        return {"d": _integer(rsa_numbers.d)} | written
    if isinstance(material, ec.EllipticCurvePrivateKey):
        return {"d": _integer(material.private_numbers().private_value, material.key_size)}
    return {"d": _text(material.private_bytes_raw())}


def _read_secret(jwk: Mapping[str, Any]) -> bytes:
    return _octets(jwk, "k")


def _read_rsa(jwk: Mapping[str, Any]) -> Any:
    public = rsa.RSAPublicNumbers(n=_number(jwk, "n"), e=_number(jwk, "e"))
    if "d" not in jwk:
        return public.public_key()
    if "oth" in jwk:
        raise InvalidKey("it has more than two primes (oth), which no library here reads")
    d = _number(jwk, "d")
    if any(name in jwk for name in _RSA_FACTORS):
        p, q, dp, dq, qi = (_number(jwk, name) for name in _RSA_FACTORS)
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, d, public.e)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _read_ec(jwk: Mapping[str, Any]) -> Any:
    curve = _known(_CURVES, jwk)()
    # As long as the field, with leading zeros (RFC 7518, section 6.2.1.2).
    width = (curve.key_size + 7) // 8
    x, y = (int.from_bytes(_octets(jwk, name, width), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, curve)
    if "d" not in jwk:
        return public.public_key()
    d = int.from_bytes(_octets(jwk, "d", width), "big")
    return ec.EllipticCurvePrivateNumbers(d, public).private_key()


def _read_okp(jwk: Mapping[str, Any]) -> Any:
    public_class, private_class = _known(_EDWARDS, jwk)
    x = _octets(jwk, "x")
    if "d" not in jwk:
        return public_class.from_public_bytes(x)
    private = private_class.from_private_bytes(_octets(jwk, "d"))
    if private.public_key().public_bytes_raw() != x:
        raise InvalidKey("its d is not the private half of its x")
    return private


def _known(curves: Mapping[str, Any], jwk: Mapping[str, Any]) -> Any:
    """Return what stands for the curve of `jwk`."""
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in curves:
        raise InvalidKey(f"its crv is {name!r}, expected one of {', '.join(curves)}")
    return curves[name]


def _number(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_octets(jwk, name), "big")


def _octets(jwk: Mapping[str, Any], name: str, length: int | None = None) -> bytes:
    """Return the bytes of a member; the message of an error shows nothing of them."""
    text = jwk.get(name)
    if not isinstance(text, str) or not text.rstrip("="):
        raise InvalidKey(f"its {name} is no text in base64url")
    try:
        found = _base64url.decode(text)
    except ValueError:
        raise InvalidKey(f"its {name} has characters outside base64url, or too few") from None
    if length is not None and len(found) != length:
        raise InvalidKey(f"its {name} has {len(found)} bytes, expected {length}")
    return found


def _integer(number: int, bits: int = 0) -> str:
    """Return a number in big-endian base64url, of `bits` or as short as it can be (RFC 7518)."""
    width = ((bits or number.bit_length()) + 7) // 8
    return _text(number.to_bytes(width, "big"))


def _text(data: bytes) -> str:
    return _base64url.encode(data).decode()
