"""The renewals after an outage: plain threshold, grid, and grid with a budget."""

from dataclasses import dataclass

from figures.population import BIN, PERIOD, STEADY, in_bins, simulate
from figures.svg import Figure, outline
from linqi import Grid, RenewalBudget, Threshold

_BEGINS, _LASTS, _BEFORE, _AFTER = 3000.0, 180.0, 240, 1500
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 580, 56, 300
_HIGHEST = 6_600
_FRACTION = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The renewals around an outage in bars of `BIN` seconds, from `_BEFORE` seconds before it."""

    plain: list[int]
    grid: list[int]
    budget: list[int]
    lost: int

    def peaks(self, bars: list[int]) -> tuple[float, float]:
        """Return the highest bars after the outage and one period later, over the even rate."""
        even, end = STEADY * BIN, int((_BEFORE + _LASTS) / BIN)
        later = end + int((PERIOD - 60) / BIN)
        return max(bars[end:later]) / even, max(bars[later:]) / even


def play() -> Recovery:
    """Return what follows an outage of 180 s, of sessions that signed in over one period."""
    lost = 0
    found = []
    for policy, budget in (
        (Threshold(), None),
        (Grid(), None),
        (Grid(), RenewalBudget(rate=_FRACTION * STEADY, burst=STEADY)),
    ):
        renewals, ended = simulate(
            policy,
            _BEGINS + _AFTER,
            spread=PERIOD,
            outage=(_BEGINS, _BEGINS + _LASTS),
            budget=budget,
        )
        lost += ended
        found.append(in_bins(renewals, _BEGINS - _BEFORE, _BEGINS + _AFTER))
    return Recovery(plain=found[0], grid=found[1], budget=found[2], lost=lost)


def draw(recovery: Recovery) -> Figure:
    """Return the figure."""
    rows = [
        ("plain threshold", "plain", recovery.plain),
        ("grid", "level", recovery.grid),
        ("grid + budget", "budget", recovery.budget),
    ]
    peaks = {name: recovery.peaks(bars) for name, _, bars in rows}
    told = [
        f"{name}: {first:.1f} times the even rate when requests return,"
        f" {second:.1f} times in the next cycle"
        for name, (first, second) in peaks.items()
    ]
    figure = Figure(
        title=f"Renewals in each {BIN} s, 3 minutes of outage",
        description=f"{'; '.join(told)}. Lost sessions: {recovery.lost}.",
        height=366,
    )
    figure.text(20, 32, figure.title, "title")
    for value in (0, 2_000, 4_000, 6_000):
        figure.line([(_LEFT, _up(value)), (_RIGHT, _up(value))], "grid")
        figure.text(_LEFT - 8, _up(value) + 5, f"{value:,}", "tick", "end")
    for minute in range(0, 26, 5):
        figure.text(_across(minute * 60), _BOTTOM + 21, str(minute), "tick", "middle")
    figure.text(
        (_LEFT + _RIGHT) / 2, _BOTTOM + 48, "minutes from the beginning of the outage", "tick",
        "middle",
    )  # fmt: skip
    plain = [(_LEFT, _BOTTOM), *outline(recovery.plain, _edge, _up), (_RIGHT, _BOTTOM)]
    figure.area(plain, "plain")
    figure.line([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], "edge")
    figure.line(outline(recovery.grid, _edge, _up), "level")
    figure.line(outline(recovery.budget, _edge, _up), "budget")
    beside = _across(_LASTS + 75)
    figure.text(beside, 80, "× the even rate: at once, next cycle", "tick halo")
    for number, (name, kind, _) in enumerate(rows):
        first, second = peaks[name]
        figure.text(beside, 106 + 25 * number, name, f"strong {kind} halo")
        figure.text(_RIGHT, 106 + 25 * number, f"{first:.1f}, {second:.1f}", "halo", "end")
    return figure


def _across(seconds: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (seconds + _BEFORE) / (_BEFORE + _AFTER)


def _edge(number: int) -> float:
    return _across(number * BIN - _BEFORE)


def _up(count: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * count / _HIGHEST
