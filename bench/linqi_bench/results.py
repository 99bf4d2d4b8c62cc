"""The result file: a run as JSON, in a form with a version (docs/reference/benchmarks.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["FORMAT", "Result", "ResultError"]

FORMAT: Final = 2
"""Rises when a member changes its meaning or is removed, not when one is added."""


class ResultError(ValueError):
    """The file is not a result that this version reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run: its figures by id, where it took place, and how steady the machine was."""

    figures: list[dict[str, Any]]
    machine: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    quick: bool = False
    only: str | None = None
    took_seconds: float = 0.0
    yardstick_us: float = 0.0
    """How long a fixed piece of Python took (`linqi_bench.yardstick`), as the median of the run."""
    yardstick_drift: float = 0.0
    """The interquartile range of that over the run, as a share of it."""
    widened_by: float = 0.0
    """The largest share of its value by which an interval was widened for noise."""
    left_out: list[str] = field(default_factory=list)
    """Why something was not measured."""

    @property
    def is_noisy(self) -> bool:
        """Whether small differences in this run mean nothing."""
        return self.widened_by > 0

    @property
    def by_id(self) -> dict[str, dict[str, Any]]:
        """The figures by their ids."""
        return {figure["id"]: figure for figure in self.figures}

    def as_json(self) -> dict[str, Any]:
        """Return the members of the file."""
        return {"format": FORMAT, "kind": "linqi-bench", "noisy": self.is_noisy, **asdict(self)}

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read a file; members that this version does not know are ignored.

        Raises:
            ResultError: The file is not JSON, not of this format or incomplete.
            OSError: The file cannot be read.

        """
        try:
            raw = json.loads(path.read_bytes())
        except ValueError:
            raise ResultError(f"{path} is not JSON") from None
        return cls.of(raw, str(path))

    @classmethod
    def of(cls, raw: object, source: str) -> Result:
        """Return the result with the members of a file; `source` names it in errors."""
        if not isinstance(raw, Mapping) or raw.get("kind") != "linqi-bench":
            raise ResultError(f"{source} is not a result of linqi bench")
        if raw.get("format") != FORMAT:
            raise ResultError(
                f"{source} has format {raw.get('format')!r}, this version reads {FORMAT};"
                " run linqi bench again"
            )
        known = {name: raw[name] for name in cls.__dataclass_fields__ if name in raw}
        result = cls(**known)
        for figure in result.figures:
            _check(figure, source)
        return result


def _check(figure: object, source: str) -> None:
    if not isinstance(figure, dict) or not isinstance(figure.get("id"), str):
        raise ResultError(f"{source} holds a figure without an id")
    value = figure.get("value")
    ends = (
        [value.get(name) for name in ("low", "median", "high")] if isinstance(value, dict) else []
    )
    if len(ends) != 3 or not all(isinstance(end, int | float) for end in ends):
        raise ResultError(f"{source}: the figure {figure['id']} has no value with its interval")
    if not isinstance(figure.get("unit"), str):
        raise ResultError(f"{source}: the figure {figure['id']} has no unit")
