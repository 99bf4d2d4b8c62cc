"""Requirements on the figures of a storm: ``p99_in_ms <= 200``."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from linqi import ConfigurationError
from linqi_storm.schema.figures import StormFigure, figure_name
from linqi_storm.schema.results import RequirementCheck, StormRun

__all__ = ["Requirement", "parse_requirements"]

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}
_FORM: Final = re.compile(
    r"\s*(?P<figure>\w+)\s*(?P<operator><=|>=|==|<|>)\s*"
    r"(?P<number>-?[0-9]+(?:\.[0-9]+)?|-?\.[0-9]+)\s*(?P<unit>[a-zA-Z%/]*)\s*"
)
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "us": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "%": ("share", 1.0),
    "kB": ("memory", 1e-3),
    "MB": ("memory", 1.0),
    "GB": ("memory", 1e3),
    "/s": ("rate", 1.0),
    "/min": ("rate", 1 / 60),
}
"""What a unit measures, and its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A limit on one figure of the result."""

    text: str
    """As it was written, with single spaces."""
    figure: StormFigure
    operator: str
    limit: float
    """In the unit of the figure."""

    def judged(self, run: StormRun) -> RequirementCheck:
        """Return whether `run` meets the requirement; a figure that it lacks fails."""
        seen = self.figure.get(run)
        kinds = {figure_name(check.name): check.kind for check in run.checks}
        return RequirementCheck(
            name=self.text,
            figure=self.figure.name,
            kind=kinds.get(self.figure.name, self.figure.kind),
            expected=f"{self.operator} {self.limit:g} {self.figure.unit}".strip(),
            seen=seen,
            unit=self.figure.unit,
            passed=seen is not None and _OPERATORS[self.operator](seen, self.limit),
            detail=self.figure.meaning
            if seen is not None
            else f"{self.figure.meaning}: this run did not measure it",
        )


def parse_requirements(
    texts: Iterable[str], figures: Mapping[str, StormFigure]
) -> tuple[Requirement, ...]:
    """Return the requirements that `texts` state about `figures`.

    Raises:
        ConfigurationError: With every text that is no requirement, names no figure, or has a unit
            that the figure has not.

    """
    found, faults = [], []
    for text in texts:
        try:
            found.append(_parsed(text, figures))
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError(faults)
    return tuple(found)


def _parsed(text: str, figures: Mapping[str, StormFigure]) -> Requirement:
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(
            f"{text!r} is not a requirement; expected a figure, one of {' '.join(_OPERATORS)} and"
            " a number, such as 'p99_in_ms <= 200'; linqi storm --figures lists the figures"
        )
    name, sign, unit = form["figure"], form["operator"], form["unit"]
    figure = figures.get(name)
    if figure is None:
        raise ValueError(f"no figure is named {name!r}{_nearest(name, figures)}")
    return Requirement(
        text=f"{name} {sign} {form['number']} {unit}".strip(),
        figure=figure,
        operator=sign,
        limit=_in_unit_of(figure, float(form["number"]), unit),
    )


def _nearest(name: str, figures: Mapping[str, StormFigure]) -> str:
    near = difflib.get_close_matches(name, figures, n=3, cutoff=0.6)
    near = near or [known for known in figures if name in known][:3]
    if not near:
        return "; linqi storm --figures lists them"
    return f"; did you mean {' or '.join(near)}?"


def _in_unit_of(figure: StormFigure, number: float, unit: str) -> float:
    """Return `number` in the unit of `figure`; without a unit it is in that already."""
    if unit in ("", figure.unit):
        return number
    own, given = _UNITS.get(figure.unit), _UNITS.get(unit)
    if own is None or given is None or own[0] != given[0]:
        of = f"is in {figure.unit}" if figure.unit else "has no unit"
        raise ValueError(f"{figure.name} {of}, but the requirement says {number:g} {unit}")
    # By whole powers: 0.2 s is 200 ms, not 200.00000000000003.
    return float(f"{number * given[1] / own[1]:.12g}")
