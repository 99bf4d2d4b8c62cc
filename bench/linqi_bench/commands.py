"""The command of the benchmarks, as it is registered."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["BENCH"]

BENCH: Final = Command(
    summary="measure the cost of a token on this machine, with the settings of linqi.toml",
    module="linqi_bench.command",
)
