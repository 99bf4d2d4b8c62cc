"""The signer of access tokens."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from linqi import _base64url
from linqi.errors import ConfigurationError, InvalidKey, SigningError
from linqi.jose.key import Key
from linqi.jose.keys import KeySet

__all__ = ["Signer"]


class Signer:
    """Signs access tokens (``typ`` at+jwt, RFC 9068) of one issuer for one audience.

    `sign` may be called from any thread.

    Args:
        keys: All of them verify; the newest that may sign signs.
        issuer: The ``iss`` of every token.
        audience: The ``aud`` of every token.
        clock: Returns Unix seconds.

    Raises:
        ConfigurationError: No key can sign, or `issuer` or `audience` is empty.

    """

    def __init__(
        self,
        keys: KeySet | Key | Sequence[Key],
        *,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        faults = []
        if not isinstance(issuer, str) or not issuer:
            faults.append("issuer is not a non-empty string; use this deployment's own URL")
        if not isinstance(audience, str) or not audience:
            faults.append("audience is not a non-empty string; name the API the tokens are for")
        if isinstance(keys, KeySet):
            self.keys = keys
        else:
            self.keys = KeySet([keys] if isinstance(keys, Key) else keys)
        try:
            self.keys.signing_key()
        except InvalidKey as error:
            faults.append(str(error))
        if faults:
            raise ConfigurationError(faults)
        self.issuer = issuer
        self.audience = audience
        self.signatures = 0
        """How many tokens this signer has signed."""
        self.clock = clock
        self._counter = itertools.count(1)
        self._fixed = {"iss": issuer, "aud": audience}
        self._header: tuple[Key, bytes] | None = None

    @property
    def is_slow(self) -> bool:
        """Whether a signature takes longer than most requests (RSA), and belongs into a thread."""
        return self.keys.signing_key(self.clock()).alg.startswith(("RS", "PS"))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token of `claims`, ``iss`` and ``aud``; `SigningError` if signing fails."""
        key = self.keys.signing_key(self.clock())
        try:
            payload = msgspec.json.encode({**claims, **self._fixed})
        except (TypeError, ValueError, RecursionError) as error:
            raise SigningError(f"the claims are not JSON: {error}") from None
        known = self._header  # one read: another thread may replace it
        if known is None or known[0] is not key:
            self._header = known = key, _header_of(key)
        data = known[1] + _base64url.encode(payload)
        signature = key.sign(data)
        self.signatures = next(self._counter)  # count is atomic under threads, += is not
        return (data + b"." + _base64url.encode(signature)).decode("ascii")


def _header_of(key: Key) -> bytes:
    header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}
    return _base64url.encode(msgspec.json.encode(header)) + b"."
