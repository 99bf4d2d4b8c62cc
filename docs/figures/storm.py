"""The renewals after a sign-in of all sessions at once: plain threshold against grid."""

from dataclasses import dataclass

from figures.axes import Axes
from figures.population import BIN, SESSIONS, STEADY, in_bins, simulate
from figures.svg import Figure
from linqi import Grid, Threshold

_UNTIL = 3600
_AXES = Axes(ends=_UNTIL, highest=13_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of the figure in one language; the fields in braces are filled from the run."""

    language: str
    title: str
    description: str
    plain: str
    grid: str
    peak: str
    axis: str


WORDS = {
    "": Words(
        language="en",
        title=f"Renewals in each {BIN} s after {SESSIONS:,} sign-ins",
        description=(
            "With a plain threshold the renewals come in peaks every ten minutes: the highest has"
            " {plain:,} renewals in 10 s, {plain_factor:.0f} times the even rate of {even:.0f}."
            " On the grid they are level: at most {grid:,} in 10 s, {grid_factor:.1f} times."
        ),
        plain="plain threshold",
        grid="grid, the default of linqi",
        peak="peak {count:,}, {factor:.{digits}f} × the even rate",
        axis="minutes after all sessions signed in within 1 s",
    ),
    "zh": Words(
        language="zh-CN",
        title=f"{SESSIONS:,} 个会话同时登录后，每 {BIN} 秒的续期次数",
        description=(
            "固定阈值每十分钟出现一次续期高峰，最高 10 秒内 {plain:,} 次，是平均值"
            "（{even:.0f} 次）的 {plain_factor:.0f} 倍。网格策略保持平稳，10 秒内最多"
            " {grid:,} 次，是平均值的 {grid_factor:.1f} 倍。"
        ),
        plain="固定阈值（plain）",
        grid="网格（grid，linqi 默认）",
        peak="峰值 {count:,}，平均值的 {factor:.{digits}f} 倍",
        axis="全部会话在 1 秒内登录之后的分钟数",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The renewals of one hour in bars of `BIN` seconds."""

    plain: list[int]
    grid: list[int]

    @property
    def facts(self) -> dict[str, float]:
        """The numbers of the texts: the highest bars, and their ratio to the even rate."""
        plain, grid, even = max(self.plain), max(self.grid), STEADY * BIN
        return {
            "plain": plain,
            "grid": grid,
            "even": even,
            "plain_factor": plain / even,
            "grid_factor": grid / even,
        }


def play() -> Run:
    """Return the renewals of the two policies after the same sign-in."""
    bars = [in_bins(simulate(policy, _UNTIL)[0], 0, _UNTIL) for policy in (Threshold(), Grid())]
    return Run(plain=bars[0], grid=bars[1])


def draw(run: Run, words: Words) -> Figure:
    """Return the figure in one language."""
    facts = run.facts
    figure = Figure(
        title=words.title,
        description=words.description.format(**facts),
        height=366,
        language=words.language,
    )
    figure.text(20, 32, words.title, "title")
    minutes = [(minute * 60, str(minute)) for minute in range(0, 61, 10)]
    _AXES.draw(figure, (0, 5_000, 10_000), minutes, words.axis)
    _AXES.fill(figure, _AXES.bars(run.plain, BIN), "plain")
    figure.line(_AXES.bars(run.grid, BIN), "level")
    beside = _AXES.across(13.5 * 60)
    figure.text(beside, 80, words.plain, "strong plain")
    said = words.peak.format(count=facts["plain"], factor=facts["plain_factor"], digits=0)
    figure.text(beside, 103, said)
    figure.text(beside, 138, words.grid, "strong level")
    said = words.peak.format(count=facts["grid"], factor=facts["grid_factor"], digits=1)
    figure.text(beside, 161, said)
    return figure
