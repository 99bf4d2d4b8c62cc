"""Whether the access token at hand is fresh, near expiry or expired: decisions without I/O.

`linqi.js` has the same rules; both pass the test vectors in ``tests/vectors/judge.json``.
All durations are in seconds. Wall clocks count Unix seconds; a monotonic clock may start
anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from linqi._ranges import DAY, Range, Ranges, range_faults
from linqi.errors import ConfigurationError

__all__ = ["HeldToken", "JudgeSettings", "Verdict", "clock_offset", "hold", "judge", "seconds_left"]

Verdict: TypeAlias = Literal["fresh", "advisory", "mandatory", "expired"]
"""``advisory``: one caller renews while all requests still use the token. ``mandatory``: requests
wait for the renewal. ``expired``: the token is no longer sent."""

_HALF_SECOND: Final = 0.5
"""``Date`` has whole seconds, rounded down: on average it is half a second behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """How early a token is renewed.

    Raises:
        ConfigurationError: A setting is out of its range; lists every fault.

    """

    RANGES: ClassVar[Ranges] = {
        "advisory": Range(0, DAY, "seconds"),
        "mandatory": Range(0, DAY, "seconds"),
        "share": Range(0, 0.9, is_above=True),
        "jitter": Range(0, 0.5),
    }

    advisory: float = 300
    """Seconds before the end at which a renewal starts in the background, unless the server sent
    ``refresh_in``. `mandatory` to 86,400; default 300. Without a refresh token the client renews
    nothing: the server decides when a session slides."""
    mandatory: float = 30
    """Seconds before the end from which requests wait for the renewal. 0 to `advisory`; default
    30."""
    share: float = 0.5
    """The largest share of a token's life, as it was on arrival, that `advisory` may take, so that
    short-lived tokens are used at all; `mandatory` takes at most half of that. Above 0 to 0.9;
    default 0.5."""
    jitter: float = 0.1
    """The largest share by which the advisory threshold is lengthened at random, for each token,
    so that the clients of one deployment do not renew at the same moment. 0 to 0.5; default
    0.1."""

    def __post_init__(self) -> None:
        faults = range_faults(self.RANGES, self)
        if not faults and self.mandatory > self.advisory:
            faults.append(
                f"mandatory is {self.mandatory:g}, expected at most advisory ({self.advisory:g})"
            )
        if faults:
            raise ConfigurationError(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldToken:
    """When a token arrived, and how long it lives."""

    expires_at: float
    """``exp``, by the server's clock."""
    offset: float
    """The server's wall clock minus the client's."""
    life: float
    """Seconds left on arrival."""
    monotonic: float
    """The monotonic clock on arrival."""
    advisory: float
    """Seconds before the end at which a background renewal starts."""
    mandatory: float
    """Seconds before the end from which requests wait for the renewal."""


def clock_offset(wall: float, date: float | None, issued_at: float | None) -> float:
    """Return an estimate of the server's clock minus the client's.

    Without a ``Date`` header, ``iat`` only proves that the server's clock is not earlier than it:
    a client clock behind ``iat`` is corrected, any other is trusted.

    Args:
        wall: The client's wall clock when the response arrived.
        date: The response's ``Date`` header in Unix seconds, or None.
        issued_at: The token's ``iat``, or None.

    """
    if date is not None:
        return date + _HALF_SECOND - wall
    return 0.0 if issued_at is None else max(0.0, issued_at - wall)


def hold(
    *,
    issued_at: float | None,
    expires_at: float,
    wall: float,
    monotonic: float,
    date: float | None = None,
    refresh_in: float | None = None,
    chance: float = 0.0,
    is_stored: bool = False,
    settings: JudgeSettings,
) -> HeldToken:
    """Return the thresholds and the remaining life of a token that arrived just now.

    Args:
        issued_at: The token's ``iat``, or None.
        expires_at: The token's ``exp``.
        wall: The wall clock on arrival.
        monotonic: The monotonic clock on arrival.
        date: The response's ``Date`` header in Unix seconds, or None.
        refresh_in: The ``refresh_in`` of the token response; replaces the advisory threshold if it
            lies within the token's life.
        chance: A random number from 0 to 1, for the jitter.
        is_stored: Whether it came from a storage and arrived earlier, perhaps long ago. Its
            thresholds are then parts of its life since ``iat``: as parts of what is left of it
            they would never be reached.
        settings: The thresholds that are asked for.

    """
    offset = clock_offset(wall, date, issued_at)
    life = max(0.0, expires_at - (wall + offset))
    whole = life
    if is_stored and issued_at is not None:
        whole = max(life, expires_at - issued_at)
    most = whole * settings.share
    if refresh_in is not None and 0 < refresh_in < whole:
        advisory = whole - refresh_in
    else:
        advisory = min(settings.advisory * (1 + settings.jitter * chance), most)
    return HeldToken(
        expires_at=expires_at,
        offset=offset,
        life=life,
        monotonic=monotonic,
        advisory=advisory,
        mandatory=min(settings.mandatory, most / 2, advisory),
    )


def seconds_left(held: HeldToken, wall: float, monotonic: float) -> float:
    """Return the remaining life in seconds: the smaller of the values by the two clocks.

    The monotonic clock is right when the wall clock was set back. The wall clock is right after the
    machine slept, because the monotonic clock may stand still meanwhile.
    """
    by_monotonic = held.life - (monotonic - held.monotonic)
    by_wall = held.expires_at - (wall + held.offset)
    return min(by_monotonic, by_wall)


def judge(held: HeldToken, wall: float, monotonic: float) -> Verdict:
    """Return how the token may be used; with exactly a threshold left it counts as above it."""
    left = seconds_left(held, wall, monotonic)
    if left <= 0:
        return "expired"
    if left < held.mandatory:
        return "mandatory"
    return "advisory" if left < held.advisory else "fresh"
