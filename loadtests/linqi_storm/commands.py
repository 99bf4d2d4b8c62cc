"""The registered commands ``linqi storm`` and ``linqi serve``."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["SERVE", "STORM"]

STORM: Final = Command(
    summary="load-test an application while tokens expire", module="linqi_storm.command"
)
SERVE: Final = Command(
    summary="run an application that issues tokens, to try linqi",
    module="linqi_storm.serve.command",
)
