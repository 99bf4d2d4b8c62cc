"""What changed between two runs, beyond their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from linqi_bench.results import Result

__all__ = ["Comparison", "FigureChange", "compare"]

_LEAST: Final = 0.03
"""A smaller change counts as noise: the memory layout alone causes as much."""
_OTHER_SPEED: Final = 0.05

Kind = Literal["dearer", "cheaper", "same", "new", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureChange:
    """The change of one figure; `share` is new over old, at equal speed of the machine."""

    id: str
    name: str
    unit: str
    kind: Kind
    old: float | None = None
    new: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All figures of two runs; `speed` is how much slower the machine was the second time."""

    changes: Sequence[FigureChange]
    speed: float
    same_machine: bool

    @property
    def beyond_noise(self) -> list[FigureChange]:
        """The changes beyond noise, the largest first."""
        changed = [change for change in self.changes if change.kind in ("dearer", "cheaper")]
        return sorted(changed, key=lambda change: -abs((change.share or 1) - 1))

    @property
    def is_other_speed(self) -> bool:
        """Whether times had to be scaled before they were compared."""
        return self.speed != 1.0


def compare(old: Result, new: Result) -> Comparison:
    """Compare figures by id: different only where their intervals lie apart, and by 3 % at least.

    Of what is served, the cost over the bare app is compared: it is a small part of a request.

    Where the yardstick differs by more than 5 %, times of the old run are scaled to the speed of
    the new one first.
    """
    speed = 1.0
    if old.yardstick_us and new.yardstick_us:
        measured = new.yardstick_us / old.yardstick_us
        speed = measured if abs(measured - 1) > _OTHER_SPEED else 1.0
    before, after = old.by_id, new.by_id
    changes = [
        _change(before[name], figure, speed) for name, figure in after.items() if name in before
    ]
    for kind, some, others in (("new", after, before), ("gone", before, after)):
        changes += [
            FigureChange(id=name, name=figure["name"], unit=figure["unit"], kind=kind)  # type: ignore[arg-type]
            for name, figure in some.items()
            if name not in others
        ]
    same = old.machine.get("processor") == new.machine.get("processor")
    return Comparison(changes=changes, speed=speed, same_machine=same)


def _change(old: dict[str, Any], new: dict[str, Any], speed: float) -> FigureChange:
    factor = speed if new["unit"] == "us" else 1.0
    of = "over" if new["id"].startswith("served.") and old["over"] and new["over"] else "value"
    was, now = old[of], new[of]
    median = was["median"] * factor
    share = now["median"] / median if median else 1.0
    kind: Kind = "same"
    if abs(share - 1) >= _LEAST:
        if now["low"] > was["high"] * factor:
            kind = "dearer"
        elif now["high"] < was["low"] * factor:
            kind = "cheaper"
    return FigureChange(
        id=new["id"],
        name=new["name"],
        unit=new["unit"],
        kind=kind,
        old=was["median"],
        new=now["median"],
        share=share,
    )
