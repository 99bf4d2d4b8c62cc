"""Device tokens: proof that a device signed in to an account before, checked without a store."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import struct
import time
import unicodedata
from collections.abc import Callable
from typing import Final

import msgspec
import pybase64

from linqi.jose.keys import Secrets
from linqi.sessions._secrets import DerivedSecrets

__all__ = [
    "LEAST_STEP",
    "LONGEST_DEVICE_SECONDS",
    "DeviceTokens",
    "PresentedDevice",
    "new_device_id",
    "owner_of",
]

LONGEST_DEVICE_SECONDS: Final = 34_560_000
"""400 days, the longest that browsers keep a cookie. Stores keep the end of a subject's device
tokens for so long, whatever the setting is today: an older token is expired."""
LEAST_STEP: Final = 0.000_001
"""Seconds by which the end of a subject's device tokens rises at least."""

_PREFIX: Final = "lqd_"
"""Lets secret scanners and readers recognise one."""
_VERSION: Final = 1
_BODY: Final = struct.Struct(">BB16s16sdQ")
"""Version, key, device, owner, the end of the owner's earlier tokens, expiry in Unix seconds."""
_MAC_BYTES: Final = 28
_FORM: Final = re.compile(f"{_PREFIX}[A-Za-z0-9_-]{{{(_BODY.size + _MAC_BYTES) * 4 // 3}}}")
"""The bytes are a multiple of three: each token has this one spelling."""
_ID_BYTES: Final = 16


class PresentedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """What a device token with a good MAC says."""

    device_id: str
    owner: str
    """The subject that had signed in, hashed; see `owner_of`."""
    ended_at: float
    """When the owner's earlier device tokens had ended, as known when this one was made."""
    expires_at: float


class DeviceTokens:
    """Makes and checks device tokens with keys derived from `secrets`, the newest last.

    The MAC covers the issuer and the name besides what the token itself says, so that a token of
    one name is none of another's. The name counts as it was typed, but for Unicode composition
    (NFC) and space around it. The counters of the throttle fold names further, which can only
    count too much; here it would let the owner of ``ALICE`` guess at ``alice`` in applications
    that tell the two apart.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        issuer: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        purpose = b"linqi device token v1\n" + issuer.encode()
        self._secrets = DerivedSecrets(secrets, purpose, clock=clock)

    def make(self, name: str, device: PresentedDevice) -> str:
        """Return the token of `device` for `name`; the same arguments give the same token."""
        key_id, secret = self._secrets.newest
        body = _BODY.pack(
            _VERSION,
            key_id,
            bytes.fromhex(device.device_id),
            bytes.fromhex(device.owner),
            device.ended_at,
            int(device.expires_at),
        )
        return _PREFIX + pybase64.urlsafe_b64encode(body + _mac(secret, body, name)).decode()

    def check(self, token: str, name: str) -> PresentedDevice | None:
        """Return what `token` says, or None if it is not a token of ours for `name`.

        Nothing is looked up: forged tokens cost no store anything. The expiry is the caller's to
        compare.
        """
        if not _FORM.fullmatch(token):
            return None
        raw = pybase64.urlsafe_b64decode(token[len(_PREFIX) :])
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        version, key_id, device, owner, ended_at, expires_at = _BODY.unpack(body)
        # In constant time, or the MAC could be guessed byte by byte.
        candidates = self._secrets.of(key_id)
        is_ours = any(hmac.compare_digest(mac, _mac(s, body, name)) for s in candidates)
        if version != _VERSION or not is_ours:
            return None
        return PresentedDevice(
            device_id=device.hex(),
            owner=owner.hex(),
            ended_at=ended_at,
            expires_at=float(expires_at),
        )

    def __repr__(self) -> str:
        return f"<DeviceTokens of {len(self._secrets)} secrets>"


def new_device_id() -> str:
    """Return the id of a device that has none: 128 random bits as hex digits."""
    return secrets.token_hex(_ID_BYTES)


def owner_of(subject: str) -> str:
    """Return what device tokens and stores know `subject` by: a hash, as 32 hex digits."""
    return hashlib.sha256(subject.encode()).hexdigest()[: 2 * _ID_BYTES]


def _mac(secret: bytes, body: bytes, name: str) -> bytes:
    typed = unicodedata.normalize("NFC", name).strip()
    return hmac.digest(secret, body + typed.encode(), "sha256")[:_MAC_BYTES]
