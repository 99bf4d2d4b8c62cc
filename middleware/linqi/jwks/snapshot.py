"""A fetched key set as text, for a cold start or for the neighbours on one machine."""

from __future__ import annotations

import msgspec

from linqi.errors import InvalidKey

__all__ = ["Snapshot"]

_VERSION = 1


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one issuer answered, and when it was last asked. Instants are Unix seconds.

    Whoever can write one decides whose tokens are believed: keep it where keys are kept.
    """

    version: int = _VERSION
    issuer: str
    url: str = ""
    """Where the set was fetched from; empty before the first success."""
    jwks: str = ""
    """The body, as it was sent."""
    etag: str = ""
    fetched_at: float = 0.0
    lifetime_seconds: float = 0.0
    attempted_at: float = 0.0
    """When the issuer was last asked, with or without success."""
    forced_at: float = 0.0
    """When it was last asked for the sake of an unknown key id."""
    retry_at: float = 0.0
    """Until when the issuer asked to be left alone, if it did."""
    failures: int = 0
    """Attempts that failed since the last that did not."""

    @property
    def has_keys(self) -> bool:
        """Whether the issuer ever answered."""
        return bool(self.jwks)

    def to_json(self) -> str:
        """Give the snapshot as JSON text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Snapshot:
        """Read what `to_json` wrote; `InvalidKey` when it is something else."""
        try:
            snapshot = msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidKey(f"not a key set snapshot: {error}") from None
        if snapshot.version != _VERSION:
            raise InvalidKey(
                f"the snapshot has version {snapshot.version}, this release reads {_VERSION}"
            )
        return snapshot
