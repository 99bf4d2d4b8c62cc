"""The commands ``linqi tune`` and ``linqi demo``, as they are registered."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["DEMO", "TUNE"]

TUNE: Final = Command(
    summary="recommend settings from measurements, and write them to linqi.toml",
    module="linqi_tune.command",
)
DEMO: Final = Command(
    summary="show linqi at work: sign-in, renewals, an outage, storms",
    module="linqi_tune.demo.command",
)
