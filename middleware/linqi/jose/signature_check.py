"""The check of one signature, apart from everything else about its token."""

from __future__ import annotations

import msgspec

from linqi.jose.key import Key

__all__ = ["SignatureCheck"]


class SignatureCheck(msgspec.Struct, frozen=True):
    """The check of one signature, apart from everything else about its token."""

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
        """Tell whether the signature fits; may be called from any thread."""
        return self.key.verify(self._signed, self._signature)

    def __repr__(self) -> str:
        return f"<SignatureCheck digest={self.digest.hex()[:8]} {self.algorithm}>"
