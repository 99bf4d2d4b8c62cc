"""The table of ``linqi.toml`` about load tests, which ``linqi storm`` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linqi.config.setting import setting
from linqi.config.value_types import StringList

__all__ = ["StormTable"]

_REQUIREMENT: Final = (
    r"\s*[a-z][a-z0-9_]*\s*(?:<=|>=|==|<|>)\s*-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*[a-zA-Z%/]*\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormTable:
    """What a load test of this service must show."""

    require: tuple[str, ...] = setting(
        StringList(
            'a list of requirements such as "p99_in_ms <= 200": a figure, a comparison and a'
            " number",
            pattern=_REQUIREMENT,
        ),
        "Limits on figures of linqi storm, which lists them with --figures.",
        default=(),
        example=("storm_factor <= 1.5", "forced_logouts == 0"),
    )
