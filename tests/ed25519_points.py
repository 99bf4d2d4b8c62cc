"""Points of Ed25519 for keys and signatures that no honest signer makes (RFC 8032, section 5.1)."""

import hashlib
from typing import TypeAlias

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, PRIME) % PRIME

Point: TypeAlias = tuple[int, int, int, int]
IDENTITY: Point = (0, 1, 1, 0)


def added(a: Point, b: Point) -> Point:
    """Return the sum of two points in extended coordinates."""
    e = (a[1] + a[0]) * (b[1] + b[0]) - (a[1] - a[0]) * (b[1] - b[0])
    h = (a[1] + a[0]) * (b[1] + b[0]) + (a[1] - a[0]) * (b[1] - b[0])
    c, d = 2 * _D * a[3] * b[3], 2 * a[2] * b[2]
    x, y, z, t = e * (d - c), (d + c) * h, (d - c) * (d + c), e * h
    return x % PRIME, y % PRIME, z % PRIME, t % PRIME


def times(scalar: int, point: Point) -> Point:
    """Return the multiple of a point."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = added(result, point)
        point, scalar = added(point, point), scalar >> 1
    return result


def point_at(y: int, sign: int) -> Point | None:
    """Return the point with that y, if there is one."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if (x * x - square) % PRIME:
        return None
    x = x if x & 1 == sign else -x % PRIME
    return x, y % PRIME, 1, x * y % PRIME


def encoded(point: Point) -> bytes:
    """Return the canonical encoding of a point."""
    x, y = (value * pow(point[2], -1, PRIME) % PRIME for value in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def hashed(*parts: bytes) -> int:
    """Return the scalar that a signature's equation multiplies the key by."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def _base() -> Point:
    found = point_at(4 * pow(5, -1, PRIME) % PRIME, 0)
    assert found is not None
    return found


def _torsion() -> list[Point]:
    """Return the 8 points of small order: the multiples of one of order 8."""
    candidates = (point_at(y, 0) for y in range(2, 100))
    found = next(
        multiple
        for point in candidates
        if point is not None
        for multiple in [times(ORDER, point)]
        if encoded(times(4, multiple)) != encoded(IDENTITY)
    )
    return [times(n, found) for n in range(8)]


BASE = _base()
TORSION = _torsion()


def signed(
    secret: int, nonce: int, message: bytes, key_torsion: int = 0, r_torsion: int = 0
) -> tuple[bytes, bytes]:
    """Return a key and a signature, each with a point of small order added to it."""
    key = encoded(added(times(secret, BASE), TORSION[key_torsion]))
    r = encoded(added(times(nonce, BASE), TORSION[r_torsion]))
    scalar = (nonce + hashed(r, key, message) * secret) % ORDER
    return key, r + scalar.to_bytes(32, "little")
