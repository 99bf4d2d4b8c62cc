"""The clock of this machine beside the ``Date`` of an HTTP response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linqi._http_date import http_date
from linqi.jwks.http import HttpFetch, RemoteLimits
from linqi.live.probe import Environment, ProbeResult

__all__ = ["ClockOffset", "compare_clock", "look_at_clock", "offset_of"]

_MOST_BYTES: Final = 4_194_304
_FAR_SECONDS: Final = 60.0
"""Beyond this, new tokens are refused by most verifiers, and TLS certificates may be."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """By how many seconds another clock is ahead of this one: between `least` and `most`."""

    least: float
    most: float

    @property
    def certain(self) -> float:
        """The difference that is certain; 0 if the clocks may agree, negative if it is behind."""
        return max(self.least, 0.0) + min(self.most, 0.0)


def offset_of(headers: Mapping[str, str], sent: float, received: float) -> ClockOffset | None:
    """Return the offset of the clock that wrote ``Date``; None if that cannot be told.

    The date has whole seconds and is of a moment between `sent` and `received` (RFC 9110, section
    6.6.1). A response with an ``Age`` is of a cache: its date is older (RFC 9111, section 5.1).

    Args:
        headers: Of the response, by lower-case name.
        sent: When the request was sent, by this clock, in Unix seconds.
        received: When the response was received.

    """
    date = http_date(headers.get("date", ""))
    if date is None or headers.get("age", "0").strip() not in ("", "0"):
        return None
    return ClockOffset(date - received, date + 1 - sent)


def compare_clock(
    environment: Environment, result: ProbeResult, whose: str, offset: ClockOffset | None
) -> None:
    """Add what an offset means to the result.

    Args:
        environment: Has the leeway of the configuration.
        result: Receives the fact or the finding.
        whose: The origin of the response.
        offset: What `offset_of` returned.

    """
    if offset is None:
        result.saw(f"{whose} sends no usable Date")
        return
    ahead, leeway = offset.certain, environment.config.verify.leeway_seconds
    result.saw(
        f"{whose} is {offset.least:+.1f} to {offset.most:+.1f} s from this clock (Date has whole"
        " seconds)"
    )
    if abs(ahead) <= leeway or ahead == 0:
        return
    direction = "behind" if ahead > 0 else "ahead of"
    harm = (
        "its new tokens are not valid yet here"
        if ahead > 0
        else "its tokens expire here before their time"
    )
    result.found(
        "error" if abs(ahead) > _FAR_SECONDS else "warning",
        "clock-differs",
        f"this clock is at least {abs(ahead):.1f} s {direction} that of {whose}: {harm}",
        "synchronise this clock by NTP (timedatectl, chronyc tracking), or tell the operator of the"
        " other one",
    )


async def look_at_clock(environment: Environment, result: ProbeResult) -> None:
    """Compare this clock with the ``Date`` of the given URL."""
    url = environment.options.clock_url
    if not url:
        result.saw("compared with the issuers only; --clock-url compares with any HTTP server")
        return
    fetch = HttpFetch(RemoteLimits(timeout=environment.options.timeout, max_bytes=_MOST_BYTES))
    try:
        sent = environment.clock()
        answer = await fetch(url, {"cache-control": "no-cache"})
        offset = offset_of(answer.headers, sent, environment.clock())
    finally:
        await fetch.aclose()
    compare_clock(environment, result, url, offset)
