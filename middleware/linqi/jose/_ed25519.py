"""Ed25519 with one verdict of two libraries: libsodium where PyNaCl is installed, else OpenSSL.

libsodium takes about half the time. It refuses some signatures that OpenSSL accepts. Workers of one
deployment must not disagree, so those are refused here, whichever library is installed:

- public keys of small order, for which anyone can make a signature of every eighth text or more;
- public keys that are not in the canonical encoding (RFC 8032, section 5.1.3);
- signatures whose first half, the point R, has small order.

Both libraries by themselves refuse other encodings of R and scalars that are not reduced, and both
compare R itself. A libsodium that compares its multiple by the cofactor is not used: it would
accept more than OpenSSL.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

__all__ = ["check_by_libsodium", "check_by_openssl", "ed25519_checker", "is_degenerate"]

_Check: TypeAlias = Callable[[bytes, bytes], object]
_Open: TypeAlias = Callable[[bytes, bytes], bytes]
_PRIME: Final = 2**255 - 19
_EIGHTH: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER: Final = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for y in (0, 1, _PRIME - 1, _EIGHTH, _PRIME - _EIGHTH)
    for sign in (0, 1)
)
"""The 8 points whose order divides the cofactor, and the other spelling of 2 of them."""
_COFACTOR_KEY: Final = bytes.fromhex(
    "e134e81a901b8cd8348c25bfaaecdd18d558699c8f1cf5fba25c0457a775e9ce"
)
_COFACTOR_SIGNATURE: Final = bytes.fromhex(
    "607055ca3d4aa8af26961afb12b1e60a75fac88f9c260ff25806631dbb269159"
    "1abec53f90dd6c3a8362be05b2b025a39c37bd1e936efcb84ec313c336961107"
)
"""A signature of the empty text whose R is wrong by a point of order 8."""


def is_degenerate(public: bytes) -> bool:
    """Return whether a public key has small order or is not in the canonical encoding."""
    y = int.from_bytes(public, "little") % 2**255
    return public in _SMALL_ORDER or y >= _PRIME


def ed25519_checker(public: Any) -> _Check:
    """Return a function of signature and data that raises if the signature is wrong.

    Args:
        public: An Ed25519 public key of the cryptography library, not a degenerate one.

    """
    opened = _libsodium()
    return check_by_openssl(public) if opened is None else check_by_libsodium(public, opened)


def check_by_openssl(public: Any) -> _Check:
    """Return the checker that asks OpenSSL."""
    verify = public.verify

    def check(signature: bytes, data: bytes) -> None:
        _refuse_small_order(signature)
        verify(signature, data)

    return check


def check_by_libsodium(public: Any, opened: _Open) -> _Check:
    """Return the checker that asks libsodium, by its ``crypto_sign_open``."""
    raw = public.public_bytes_raw()

    def check(signature: bytes, data: bytes) -> None:
        _refuse_small_order(signature)
        opened(signature + data, raw)

    return check


def _refuse_small_order(signature: bytes) -> None:
    if signature[:32] in _SMALL_ORDER:
        raise ValueError("the point R has small order")


@cache
def _libsodium() -> _Open | None:
    """Return libsodium's ``crypto_sign_open``; None if it is missing, or if it would disagree."""
    try:
        from nacl.bindings import crypto_sign_open
        from nacl.exceptions import BadSignatureError
    except ImportError:
        return None
    try:
        crypto_sign_open(_COFACTOR_SIGNATURE, _COFACTOR_KEY)
    except BadSignatureError:
        opened: _Open = crypto_sign_open
        return opened
    return None
