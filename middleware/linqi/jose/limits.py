"""How much of a token is looked at before anything in it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from linqi.errors import ConfigurationError

__all__ = ["TokenLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """How much of a token is looked at before anything in it is decoded."""

    token_bytes: int = 16_384
    """The whole token; 256 to 1,048,576."""
    header_bytes: int = 2_048
    """The encoded header; 64 to `token_bytes`."""

    def __post_init__(self) -> None:
        faults = []
        if not 256 <= self.token_bytes <= 1_048_576:
            faults.append(f"token_bytes is {self.token_bytes}, expected 256 to 1048576")
        if not 64 <= self.header_bytes <= self.token_bytes:
            faults.append(f"header_bytes is {self.header_bytes}, expected 64 to token_bytes")
        if faults:
            raise ConfigurationError(faults)
