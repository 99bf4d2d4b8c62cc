"""The storm factor: how far the highest renewal rate exceeds the steady rate."""

from __future__ import annotations

from typing import Final

__all__ = ["peak_window", "steady_rate", "storm_factor"]

_WINDOWS_PER_PERIOD: Final = 20


def peak_window(period: float) -> float:
    """Return the window in seconds over which a peak is taken: a twentieth of the period.

    A fixed share keeps the storm factor the same when all times are divided by one number.
    """
    return period / _WINDOWS_PER_PERIOD


def steady_rate(sessions: float, period: float) -> float:
    """Return renewals per second of `sessions` active sessions: ``sessions / period``.

    `period` is ``lifetime - buffer`` in seconds. No policy can renew less often: each session
    must renew once per period.
    """
    return sessions / period


def storm_factor(peak_rate: float, sessions: float, period: float) -> float:
    """Return the highest renewal rate over the steady rate: 1 for sessions that are spread evenly.

    Args:
        peak_rate: Renewals per second in the fullest window, as measured or as predicted.
        sessions: Active sessions.
        period: ``lifetime - buffer`` in seconds.

    """
    return peak_rate / steady_rate(sessions, period)
