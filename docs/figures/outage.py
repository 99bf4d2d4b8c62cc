"""The renewals after an outage: plain threshold, grid, and grid with a budget."""

from dataclasses import dataclass

from figures.axes import Axes
from figures.population import BIN, PERIOD, STEADY, in_bins, simulate
from figures.svg import Figure
from linqi import Grid, RenewalBudget, Threshold

_BEGINS, _LASTS, _BEFORE, _AFTER = 3000.0, 180.0, 240, 1500
_AXES = Axes(begins=-_BEFORE, ends=_AFTER, highest=6_600)
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
    minutes = [(minute * 60, str(minute)) for minute in range(0, 26, 5)]
    name = "minutes from the beginning of the outage"
    _AXES.draw(figure, (0, 2_000, 4_000, 6_000), minutes, name)
    _AXES.fill(figure, _AXES.bars(recovery.plain, BIN), "plain")
    figure.line(_AXES.bars(recovery.grid, BIN), "level")
    figure.line(_AXES.bars(recovery.budget, BIN), "budget")
    beside = _AXES.across(_LASTS + 75)
    figure.text(beside, 80, "× the even rate: at once, next cycle", "tick halo")
    for number, (name, kind, _) in enumerate(rows):
        first, second = peaks[name]
        figure.text(beside, 106 + 25 * number, name, f"strong {kind} halo")
        figure.text(_AXES.right, 106 + 25 * number, f"{first:.1f}, {second:.1f}", "halo", "end")
    return figure
