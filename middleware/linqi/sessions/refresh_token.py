"""Refresh tokens: opaque to clients, authenticated by a MAC before any store is asked."""

from __future__ import annotations

import hmac
import secrets
import struct
import time
from collections.abc import Callable
from typing import Final

import msgspec
import pybase64

from linqi import _base64url
from linqi.errors import RefreshRefused, Unavailable
from linqi.jose.keys import Secrets
from linqi.jose.session_ids import RANDOM_BYTES, session_id_of
from linqi.sessions._secrets import DerivedSecrets

__all__ = ["PresentedToken", "RefreshTokens", "new_session_id"]

_OTHER_SPELLINGS: Final = b"+/="
"""Characters that the decoder takes and `RefreshTokens.make` never writes: a token has one spelling
(RFC 4648, section 3.5), so that what counts or compares tokens as text counts each once."""
_PREFIX: Final = b"lqr_"
"""Lets secret scanners and readers recognise one."""
_VERSION: Final = 1
_BODY: Final = struct.Struct(">BB22sQQ")
"""Version, key, session id, counter, expiry in Unix seconds."""
_MAC_BYTES: Final = 26
_LENGTH: Final = len(_PREFIX) + (_BODY.size + _MAC_BYTES) * 4 // 3
_ID_BYTES: Final = 22


class PresentedToken(msgspec.Struct, frozen=True):
    """The content of a refresh token with a valid MAC."""

    session_id: str
    counter: int
    expires_at: float


class RefreshTokens:
    """Makes and checks refresh tokens with `secrets`, the newest last: it makes, all check.

    A secret is a `Key` for an HMAC, or 32 or more random bytes; of a `KeySet`, which may change,
    the newest that may sign at the time makes. `issuer` is bound into the MAC: a token of one
    deployment is no token of another that shares the secret.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        issuer: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        purpose = b"linqi refresh token v1\n" + issuer.encode()
        self._secrets = DerivedSecrets(secrets, purpose, clock=clock)

    def make(self, session_id: str, counter: int, expires_at: float) -> str:
        """Return token number `counter` of a session; equal arguments return the same token."""
        key_id, secret = self._secrets.newest
        body = _BODY.pack(_VERSION, key_id, _packed(session_id), counter, int(expires_at))
        mac = _mac(secret, body)
        return (_PREFIX + pybase64.b64encode(body + mac, b"-_")).decode()

    def check(self, token: str | bytes) -> PresentedToken:
        """Return the content of `token`.

        No store is asked, so that forged tokens cost no look-up (D1). The expiry is not checked.

        Raises:
            RefreshRefused: It has another form, or its MAC is of no secret of ours.
            Unavailable: The latter, while other workers have a secret that this one lacks.

        """
        try:
            data = token.encode("ascii") if isinstance(token, str) else token
            if len(data) != _LENGTH or not data.startswith(_PREFIX):
                raise ValueError
            if len(data.translate(None, _OTHER_SPELLINGS)) != _LENGTH:
                raise ValueError
            raw = pybase64.b64decode(data[len(_PREFIX) :], b"-_", validate=True)
            body, mac = raw[: _BODY.size], raw[_BODY.size :]
            version, key_id, packed, counter, expires_at = _BODY.unpack(body)
            candidates = self._secrets.of(key_id)
            if not candidates and not self._secrets.is_awaited:
                raise ValueError
        except (ValueError, struct.error):
            raise RefreshRefused("malformed", "not a refresh token of ours") from None
        # In constant time, or the MAC could be guessed byte by byte.
        is_ours = any(hmac.compare_digest(mac, _mac(secret, body)) for secret in candidates)
        if not is_ours and self._secrets.is_awaited:
            raise Unavailable("other workers have a refresh secret that this one has not read yet")
        if version != _VERSION or not is_ours:
            raise RefreshRefused("forged", "the MAC of the refresh token is wrong")
        session_id = _base64url.encode(packed).decode()
        return PresentedToken(session_id, counter, float(expires_at))

    def __repr__(self) -> str:
        return f"<RefreshTokens of {len(self._secrets)} secrets>"


def new_session_id(subject: str) -> str:
    """Return a new session id of 30 characters, see `session_id_of`, with 128 random bits."""
    return session_id_of(subject, secrets.token_bytes(RANDOM_BYTES))


def _packed(session_id: str) -> bytes:
    raw = _base64url.decode(session_id)
    if len(raw) != _ID_BYTES:
        raise ValueError(f"a session id has {_ID_BYTES} bytes, not {len(raw)}")
    return raw


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:_MAC_BYTES]
