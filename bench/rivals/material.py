"""What every rival is given: one key, and the issuer to trust."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

__all__ = ["AUDIENCE", "CACHED", "ISSUER", "KID", "TENANT", "USER", "Material"]

ISSUER: Final = "https://accounts.shop.example"
AUDIENCE: Final = "https://api.shop.example"
KID: Final = "key-1"
USER: Final = "00000000-0000-4000-8000-000000000001"
"""What the bare apps answer: as long as the subjects of the tokens."""
TENANT: Final = "shop-1"
"""A claim that the guarded apps read besides the subject on the path ``/tenant``."""
CACHED: Final = 25_000
"""Entries of every cache: all tokens of one measurement fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The key of one algorithm, as text; runs in every environment, so standard library only."""

    alg: str
    algorithms: tuple[str, ...]
    """What the rival is told to allow: `alg`, and in one probe HS256 besides."""
    secret: str
    """The HMAC secret: text, because some rivals take nothing else. Empty for other keys."""
    public_pem: str
    private_pem: str
    issuer: str = ISSUER
    audience: str = AUDIENCE

    @property
    def verifies_with(self) -> str:
        """The secret, or the public key in PEM."""
        return self.secret or self.public_pem

    @property
    def signs_with(self) -> str:
        """The secret, or the private key in PEM."""
        return self.secret or self.private_pem

    def write(self, path: Path) -> None:
        """Leave it in a JSON file for the processes of the rivals."""
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Material:
        """Read what `write` left."""
        members = json.loads(path.read_text("utf-8"))
        return cls(**{**members, "algorithms": tuple(members["algorithms"])})
