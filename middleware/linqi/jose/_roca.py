"""The fingerprint of RSA moduli that can be factored (ROCA, CVE-2017-15361)."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

__all__ = ["has_roca_fingerprint"]

_GENERATOR: Final = 65537
_LARGEST_PRIME: Final = 167


def has_roca_fingerprint(modulus: int) -> bool:
    """Return whether `modulus` is a power of 65537 modulo the product of the primes to 167.

    The library RSALib made each prime as ``k * M + (65537 ** a mod M)``, where M is the product of
    the first primes: up to 167 for the shortest keys, and more for longer ones. Every modulus of
    that library is therefore such a power (Nemec et al., "The Return of Coppersmith's Attack",
    ACM CCS 2017, section 3); of other moduli one in 2 ** 154 is. A power modulo each prime alone,
    as the first detectors looked for, is not enough: one ordinary modulus in 2 ** 28 is that. The
    exponents must also agree.
    """
    exponent, period = 0, 1
    for prime, exponents in _exponents().items():
        found = exponents.get(modulus % prime)
        if found is None:
            return False
        order = len(exponents)
        shared = math.gcd(period, order)
        ahead, beyond = divmod(found - exponent, shared)
        if beyond:
            return False
        rest = order // shared
        exponent += period * (ahead * pow(period // shared, -1, rest) % rest)
        period *= rest
    return True


@cache
def _exponents() -> dict[int, dict[int, int]]:
    """Return, for each prime, the powers of 65537 modulo it with the exponent of each."""
    return {prime: _powers(prime) for prime in _primes()}


def _powers(prime: int) -> dict[int, int]:
    found: dict[int, int] = {}
    power = 1
    while power not in found:
        found[power] = len(found)
        power = power * _GENERATOR % prime
    return found


def _primes() -> list[int]:
    return [
        number
        for number in range(2, _LARGEST_PRIME + 1)
        if all(number % smaller for smaller in range(2, math.isqrt(number) + 1))
    ]
