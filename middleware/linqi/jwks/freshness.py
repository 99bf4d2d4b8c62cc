"""When a fetched key set is fetched again, and how long it is believed: decisions without I/O.

All instants are seconds of a monotonic clock. The states are those of RFC 9111, section 4.2,
with ``stale-if-error`` of RFC 5861, section 4, bounded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final, Literal, TypeAlias

from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = ["RefreshSettings", "Schedule", "Status", "lifetime_of", "retry_after_of"]

Status: TypeAlias = Literal["cold", "fresh", "stale", "expired"]
"""``cold``: never fetched; ``stale``: past its lifetime, still believed; ``expired``: too old."""

_JITTER: Final = 0.1
"""Processes that started together drift apart: a refresh comes up to this share early, a retry up
to this share late."""
_SECONDS: Final = re.compile(r'"?([0-9]{1,10})"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings:
    """How often the issuer is asked, and how long its last answer counts. All in seconds."""

    RANGES: ClassVar[Ranges] = {
        "lifetime": Range(1, DAY, "seconds"),
        "least_lifetime": Range(1, DAY, "seconds"),
        "most_lifetime": Range(1, DAY, "seconds"),
        "refresh_ahead": Range(0.1, 0.95),
        "stale": Range(0, DAY, "seconds"),
        "cooldown": Range(1, DAY, "seconds"),
        "longest_backoff": Range(1, 3600, "seconds"),
    }

    lifetime: float = 600
    """For an answer that has no ``Cache-Control``: the common practice of JOSE libraries."""
    least_lifetime: float = 60
    """However short the issuer's ``max-age`` is; also for ``no-cache`` and ``no-store``."""
    most_lifetime: float = 3600
    """However long ``max-age`` is: so long may a withdrawn key go on verifying."""
    refresh_ahead: float = 0.8
    """The share of the lifetime, 0.1 to 0.95, after which it is fetched anew in the background."""
    stale: float = 3600
    """How far past its lifetime a set is believed while the issuer does not answer; 0 to 86,400.
    After that every token of the issuer is answered with 503."""
    cooldown: float = 30
    """The least time between two attempts that unknown key ids cause, or after a failed one;
    1 to `least_lifetime`."""
    longest_backoff: float = 120
    """Failures double the time between attempts up to this, and an issuer's ``Retry-After`` is
    respected up to this; `cooldown` to 3,600."""

    def __post_init__(self) -> None:
        if faults := [*self._faults()]:
            raise ConfigurationError(faults)

    def _faults(self) -> list[str]:
        if faults := range_faults(self.RANGES, self):
            return faults
        checks = [
            (
                self.least_lifetime <= self.lifetime <= self.most_lifetime,
                f"the lifetimes are {self.least_lifetime} <= {self.lifetime} <="
                f" {self.most_lifetime} s, expected least <= default <= most",
            ),
            (
                self.cooldown <= self.least_lifetime,
                f"cooldown is {self.cooldown} s, expected 1 to least_lifetime"
                f" ({self.least_lifetime})",
            ),
            (
                self.cooldown <= self.longest_backoff,
                f"longest_backoff is {self.longest_backoff} s, expected cooldown to 3600",
            ),
        ]
        return [fault for holds, fault in checks if not holds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The instants of one key set."""

    settings: RefreshSettings
    fetched_at: float | None = None
    """When the set that is held was last known to be the issuer's."""
    fresh_until: float = -math.inf
    trusted_until: float = -math.inf
    """From here on no key of the set is believed."""
    refresh_at: float = -math.inf
    """When the set wants to be fetched, whether or not it may be."""
    retry_at: float = -math.inf
    """No attempt of any kind before this: the cooldown or backoff after a failure."""
    force_at: float = -math.inf
    """No attempt for the sake of an unknown key id before this."""
    failures: int = 0
    """Attempts that failed since the last that did not."""

    @property
    def next_attempt_at(self) -> float:
        """When the set is fetched again without anybody asking."""
        return max(self.refresh_at, self.retry_at)

    def status(self, now: float) -> Status:
        """Tell what the set is worth at `now`."""
        if self.fetched_at is None:
            return "cold"
        if now >= self.trusted_until:
            return "expired"
        return "fresh" if now < self.fresh_until else "stale"

    def may_force(self, now: float) -> bool:
        """Tell whether an unknown key id may cause an attempt at `now`.

        Scheduled attempts that succeed do not start the cooldown: a key that appears right after
        one is found at once.
        """
        return now >= self.retry_at and now >= self.force_at

    def started(self, now: float, *, is_forced: bool) -> Schedule:
        """Count an attempt from its start: one that hangs is over no sooner than one that fails."""
        cooled_at = now + self.settings.cooldown
        return replace(self, retry_at=cooled_at, force_at=cooled_at if is_forced else self.force_at)

    def succeeded(self, fetched_at: float, lifetime: float, chance: float) -> Schedule:
        """Begin a lifetime of `lifetime` seconds at `fetched_at`; `chance` from 0 to 1 spreads."""
        ahead = lifetime * self.settings.refresh_ahead * (1 - _JITTER * chance)
        fresh_until = fetched_at + lifetime
        return replace(
            self,
            fetched_at=fetched_at,
            fresh_until=fresh_until,
            trusted_until=fresh_until + self.settings.stale,
            refresh_at=fetched_at + ahead,
            retry_at=-math.inf,
            failures=0,
        )

    def failed(self, started_at: float, chance: float, *, asked_wait: float = 0) -> Schedule:
        """Back off after the attempt that began at `started_at`; `chance` from 0 to 1 spreads.

        `asked_wait`: seconds from `started_at` for which the issuer asked to be left alone. It
        lengthens the wait, up to ``longest_backoff``, and never shortens it.
        """
        doubled = self.settings.cooldown * 2.0 ** min(self.failures, 30)
        wait = min(max(doubled, asked_wait), self.settings.longest_backoff)
        retry_at = started_at + wait * (1 + _JITTER * chance)
        return replace(self, retry_at=retry_at, failures=self.failures + 1)


def lifetime_of(cache_control: str, age: str, settings: RefreshSettings) -> float:
    """Give how long an answer is fresh (RFC 9111, section 4.2.1), within the settings' bounds.

    Read are ``max-age`` less ``Age``, ``no-cache`` and ``no-store``; ``s-maxage`` is for shared
    caches, and ``Expires`` is not read. What cannot be understood counts as absent.
    """
    directives = [part.strip().lower() for part in cache_control.split(",")]
    if "no-store" in directives or any(d.split("=")[0] == "no-cache" for d in directives):
        return settings.least_lifetime
    for directive in directives:
        name, _, value = directive.partition("=")
        found = _SECONDS.fullmatch(value)
        if name == "max-age" and found:
            spent = int(age) if _SECONDS.fullmatch(age) and age.isdigit() else 0
            left = float(int(found[1]) - spent)
            return min(max(left, settings.least_lifetime), settings.most_lifetime)
    return settings.lifetime


def retry_after_of(retry_after: str, date: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for (RFC 9110, section 10.2.3); None if none.

    A date is compared with the answer's own `date`, since the clocks of two hosts differ, and with
    `now`, in Unix seconds, only where the answer has none.
    """
    if _SECONDS.fullmatch(retry_after) and retry_after.isdigit():
        return float(retry_after)
    until, answered = _instant(retry_after), _instant(date)
    if until is None:
        return None
    return max(0.0, until - (now if answered is None else answered))


def _instant(date: str) -> float | None:
    """Return an HTTP date in Unix seconds; None when it is none."""
    try:
        found = parsedate_to_datetime(date)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
