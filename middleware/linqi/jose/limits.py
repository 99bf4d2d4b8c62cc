"""The sizes of a token that are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = ["TokenLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """The longest token and header that are read, checked before anything is decoded."""

    RANGES: ClassVar[Ranges] = {
        "token_bytes": Range(256, 1_048_576, "bytes", is_whole=True),
        "header_bytes": Range(64, 1_048_576, "bytes", is_whole=True),
    }

    token_bytes: int = 16_384
    """Bytes of the whole token; 256 to 1,048,576."""
    header_bytes: int = 2_048
    """Bytes of the encoded header; 64 to `token_bytes`."""

    def __post_init__(self) -> None:
        faults = range_faults(self.RANGES, self)
        if not faults and self.header_bytes > self.token_bytes:
            faults.append(f"header_bytes is {self.header_bytes}, expected at most token_bytes")
        if faults:
            raise ConfigurationError(faults)
