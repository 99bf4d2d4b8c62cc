"""The settings that are measured: those of a ``linqi.toml``, or the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linqi import RenewalSettings, VerifiedCache
from linqi.config import Config, load

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that decide what a token costs; its keys and its store are not used."""

    config: Config | None = None

    @classmethod
    def find(cls, path: Path | None) -> Settings:
        """Read `path`, or ``linqi.toml`` of this folder if there is one; else the defaults."""
        if path is not None:
            return cls(load(path))
        return cls(load("linqi.toml")) if Path("linqi.toml").exists() else cls()

    def cache(self, **changes: Any) -> VerifiedCache:
        """Return a cache with these settings, except for `changes`."""
        if self.config is None:
            return VerifiedCache(**changes)
        table = self.config.cache
        options = {
            "max_entries": table.max_entries,
            "max_bytes": table.max_bytes,
            "lifetime": table.lifetime_seconds,
        }
        return VerifiedCache(**options | changes)

    @property
    def renewal(self) -> RenewalSettings:
        """The renewal settings."""
        return RenewalSettings() if self.config is None else self.config.renewal.settings()

    @property
    def algorithm(self) -> str | None:
        """The algorithm that the file names for its own keys, or an outside issuer's first."""
        if self.config is None:
            return None
        listed = [alg for issuer in self.config.issuers for alg in issuer.algorithms]
        return self.config.keys.algorithm or next(iter(listed), None)

    def as_json(self) -> dict[str, Any]:
        """Return the settings for the result file."""
        cache = self.cache()
        return {
            "source": "defaults" if self.config is None else self.config.source,
            "cache_entries": cache.max_entries,
            "cache_bytes": cache.max_bytes,
            "cache_lifetime_seconds": cache.lifetime,
            "renewal_lifetime_seconds": self.renewal.lifetime,
            "renewal_buffer_seconds": self.renewal.buffer,
            "algorithm": self.algorithm,
        }
