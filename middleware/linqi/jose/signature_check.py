"""The check of one signature, for another thread."""

from __future__ import annotations

import msgspec

from linqi.jose.key import Key

__all__ = ["SignatureCheck"]


class SignatureCheck(msgspec.Struct, frozen=True):
    """The signature check of a token whose claims are not checked yet."""

    token: bytes
    digest: bytes
    """SHA-256 of the token."""
    key: Key
    _signed: bytes
    _signature: bytes

    @property
    def algorithm(self) -> str:
        """The algorithm of the key."""
        return self.key.alg

    def holds(self) -> bool:
        """Return whether the signature is right; may be called from any thread."""
        return self.key.verify(self._signed, self._signature)

    def __repr__(self) -> str:
        return f"<SignatureCheck digest={self.digest.hex()[:8]} {self.algorithm}>"
