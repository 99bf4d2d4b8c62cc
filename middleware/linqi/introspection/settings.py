"""How long an answer about a token counts, and how often an issuer is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = ["IntrospectionSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionSettings:
    """How long an answer counts, and how often an issuer is asked by one worker.

    Raises:
        ConfigurationError: A setting is out of its range; lists every fault.

    """

    RANGES: ClassVar[Ranges] = {
        "trust_seconds": Range(1, 300, "seconds"),
        "stale_seconds": Range(0, 300, "seconds"),
        "inactive_seconds": Range(1, 300, "seconds"),
        "new_per_second": Range(1, 10_000, "tokens per second"),
        "concurrent": Range(1, 1000, is_whole=True),
        "waiting": Range(1, 10_000, is_whole=True),
        "cooldown": Range(1, 60, "seconds"),
        "longest_backoff": Range(1, 3600, "seconds"),
    }

    trust_seconds: float = 60
    """For how long an answer counts, from when the issuer was asked; 1 to 300, default 60. It is
    the longest time for which a token that the issuer has revoked is still accepted. An active
    token is asked about again in the background from 80 % of it on."""
    stale_seconds: float = 0
    """How much longer the last answer about a token counts while the issuer cannot be asked; 0 to
    300, default 0: unlike a key, an answer says that a token was not revoked, and that is what
    becomes wrong with time."""
    inactive_seconds: float = 10
    """For how long a token that is not active, or whose answer is refused, is refused without
    asking again; 1 to 300, default 10."""
    new_per_second: float = 50
    """How many tokens a second the issuer is asked about that were not active before, twice as
    many at once; 1 to 10,000, default 50. A flood of made-up tokens reaches the issuer at this rate
    at most. Further ones are answered with 503."""
    concurrent: int = 16
    """How many requests to the issuer run at once about new tokens, and as many about tokens that
    were active before; 1 to 1,000, default 16."""
    waiting: int = 256
    """How many tokens of each kind wait for such a request; 1 to 10,000, default 256."""
    cooldown: float = 1
    """The pause after a request that failed, doubled by each further failure; 1 to 60, default
    1."""
    longest_backoff: float = 30
    """The longest such pause, also if the issuer's ``Retry-After`` is longer; `cooldown` to 3,600,
    default 30."""

    def __post_init__(self) -> None:
        faults = range_faults(self.RANGES, self)
        if not faults and self.cooldown > self.longest_backoff:
            faults.append(f"longest_backoff is {self.longest_backoff} s, expected cooldown to 3600")
        if faults:
            raise ConfigurationError(faults)
