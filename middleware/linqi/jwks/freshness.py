"""When a fetched key set is fetched again, and how long it is trusted: decisions without I/O.

All instants are seconds of a monotonic clock. The states are those of RFC 9111, section 4.2,
with ``stale-if-error`` of RFC 5861, section 4, bounded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, TypeAlias

from linqi._http_date import http_date
from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = ["RefreshSettings", "Schedule", "Status", "lifetime_of", "retry_after_of"]

Status: TypeAlias = Literal["cold", "fresh", "stale", "expired"]
"""``cold``: never fetched; ``stale``: past its lifetime, still trusted; ``expired``: too old."""

_JITTER: Final = 0.1
"""A refresh is early by up to this share at random, a retry late, so that processes that started
together do not fetch together."""
_SECONDS: Final = re.compile(r'"?([0-9]{1,10})"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings:
    """How often a key set is fetched, and how long it is trusted. All in seconds.

    Raises:
        ConfigurationError: A setting is out of its range; lists every fault.

    """

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
    """The lifetime of a set whose response has no ``Cache-Control``; `least_lifetime` to
    `most_lifetime`. Default 600, the common practice of JOSE libraries."""
    least_lifetime: float = 60
    """The lower bound of ``max-age``; also the lifetime for ``no-cache`` and ``no-store``. At least
    1, default 60."""
    most_lifetime: float = 3600
    """The upper bound of ``max-age``: a withdrawn key may verify for this long. At most 86,400,
    default 3,600."""
    refresh_ahead: float = 0.8
    """The share of the lifetime after which the set is fetched again in the background; 0.1 to
    0.95, default 0.8."""
    stale: float = 3600
    """How long past its lifetime a set is trusted while fetches fail; 0 to 86,400, default 3,600.
    After that every token of the issuer is answered with 503."""
    cooldown: float = 30
    """The minimum time between two fetches for unknown key ids, and after a failed fetch; 1 to
    `least_lifetime`, default 30."""
    longest_backoff: float = 120
    """Each failure doubles the time to the next attempt up to this; an issuer's ``Retry-After`` is
    honoured up to this. `cooldown` to 3,600, default 120."""

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
    """When one key set was fetched, expires and is fetched again."""

    settings: RefreshSettings
    fetched_at: float | None = None
    """When the issuer last confirmed the set; None before the first success."""
    fresh_until: float = -math.inf
    """The end of the set's lifetime."""
    trusted_until: float = -math.inf
    """From this instant on no key of the set verifies."""
    refresh_at: float = -math.inf
    """When the set is due to be fetched again, unless `retry_at` forbids it."""
    retry_at: float = -math.inf
    """No attempt of any kind before this: the cooldown or backoff after a failure."""
    force_at: float = -math.inf
    """No attempt for an unknown key id before this."""
    failures: int = 0
    """Failed attempts since the last success."""

    @property
    def next_attempt_at(self) -> float:
        """When the next scheduled fetch is made."""
        return max(self.refresh_at, self.retry_at)

    def status(self, now: float) -> Status:
        """Return whether the set is cold, fresh, stale or expired at `now`."""
        if self.fetched_at is None:
            return "cold"
        if now >= self.trusted_until:
            return "expired"
        return "fresh" if now < self.fresh_until else "stale"

    def may_force(self, now: float) -> bool:
        """Return whether an unknown key id may cause a fetch at `now`.

        A scheduled fetch that succeeds does not start the cooldown, so that a key published right
        after it is found at once.
        """
        return now >= self.retry_at and now >= self.force_at

    def started(self, now: float, *, is_forced: bool) -> Schedule:
        """Return the schedule during an attempt; the cooldown counts from its start.

        Args:
            now: When the attempt starts.
            is_forced: Whether an unknown key id causes it.

        """
        cooled_at = now + self.settings.cooldown
        return replace(self, retry_at=cooled_at, force_at=cooled_at if is_forced else self.force_at)

    def succeeded(self, fetched_at: float, lifetime: float, chance: float) -> Schedule:
        """Return the schedule after a fetch.

        Args:
            fetched_at: When the issuer sent the set.
            lifetime: Seconds for which the set is fresh.
            chance: A random number from 0 to 1, for the jitter.

        """
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
        """Return the schedule after a failed attempt.

        Args:
            started_at: When the attempt started.
            chance: A random number from 0 to 1, for the jitter.
            asked_wait: Seconds from `started_at` that the issuer's ``Retry-After`` asks for. They
                lengthen the wait, up to ``longest_backoff``, and never shorten it.

        """
        doubled = self.settings.cooldown * 2.0 ** min(self.failures, 30)
        wait = min(max(doubled, asked_wait), self.settings.longest_backoff)
        retry_at = started_at + wait * (1 + _JITTER * chance)
        return replace(self, retry_at=retry_at, failures=self.failures + 1)


def lifetime_of(cache_control: str, age: str, settings: RefreshSettings) -> float:
    """Return the freshness lifetime of a response in seconds, within the settings' bounds.

    RFC 9111, section 4.2.1: ``max-age`` minus ``Age``, ``no-cache`` and ``no-store`` count.
    ``s-maxage``, which is for shared caches, and ``Expires`` are ignored, and so are malformed
    values.

    Args:
        cache_control: The ``Cache-Control`` header, or empty.
        age: The ``Age`` header, or empty.
        settings: The bounds.

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
    """Return ``Retry-After`` in seconds (RFC 9110, section 10.2.3); None if absent or malformed.

    A date is compared with the response's ``Date``, because the clocks of two hosts differ, and
    with `now` only if there is none.

    Args:
        retry_after: The header, or empty.
        date: The ``Date`` header, or empty.
        now: Unix seconds.

    """
    if _SECONDS.fullmatch(retry_after) and retry_after.isdigit():
        return float(retry_after)
    until, answered = http_date(retry_after), http_date(date)
    if until is None:
        return None
    return max(0.0, until - (now if answered is None else answered))
