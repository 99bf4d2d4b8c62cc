"""The checks of ``linqi check --live``: the environment that a worker would run in."""

from __future__ import annotations

from linqi.live.live_check import LiveOptions, LiveResult, check_live
from linqi.live.probe import Seen

__all__ = ["LiveOptions", "LiveResult", "Seen", "check_live"]
