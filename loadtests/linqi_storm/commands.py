"""The commands of the storm and of the issuing app, as they are registered."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["SERVE", "STORM"]

STORM: Final = Command(summary="storm an app while tokens expire", module="linqi_storm.command")
SERVE: Final = Command(summary="run the issuing app", module="linqi_storm.serve.command")
