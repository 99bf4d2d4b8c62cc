"""A fetched key set that can be saved, for a cold start or for other processes."""

from __future__ import annotations

import msgspec

from linqi.errors import InvalidKey

__all__ = ["Snapshot"]

_VERSION = 1


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last response of an issuer, and the times of the last requests in Unix seconds.

    Protect it like a key file: a party that can change it can make its own tokens verify.
    """

    version: int = _VERSION
    issuer: str
    url: str = ""
    """The URL of the set; empty before the first success."""
    jwks: str = ""
    """The response body."""
    etag: str = ""
    fetched_at: float = 0.0
    lifetime_seconds: float = 0.0
    attempted_at: float = 0.0
    """When the last request was sent, successful or not."""
    forced_at: float = 0.0
    """When the last request for an unknown key id was sent."""
    retry_at: float = 0.0
    """The end of the issuer's ``Retry-After``; 0 if it sent none."""
    failures: int = 0
    """Failed attempts since the last success."""

    @property
    def has_keys(self) -> bool:
        """Whether the set was ever fetched."""
        return bool(self.jwks)

    def to_json(self) -> str:
        """Return the snapshot as JSON text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Snapshot:
        """Return the snapshot of a text that `to_json` wrote.

        Raises:
            InvalidKey: The text is something else, or of another version.

        """
        try:
            snapshot = msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidKey(f"not a key set snapshot: {error}") from None
        if snapshot.version != _VERSION:
            raise InvalidKey(
                f"the snapshot has version {snapshot.version}, this release reads {_VERSION}"
            )
        return snapshot
