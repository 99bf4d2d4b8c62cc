"""The commands ``linqi tune`` and ``linqi demo``, as they are registered."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["DEMO", "TUNE"]

TUNE: Final = Command(
    summary="recommend settings from what was measured, and write them to linqi.toml",
    module="linqi_tune.command",
)
DEMO: Final = Command(
    summary="run the demonstration: a server, a user, renewals", module="linqi_tune.demo.command"
)
