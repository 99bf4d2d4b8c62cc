"""The curves of forced sign-ins, by buffer and by lifetime."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from linqi_tune.model.advice import Option
from linqi_tune.model.lifetimes import buffers_for, lifetimes_for, longest_lifetime
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import given_text, share_text

if TYPE_CHECKING:
    from linqi_report.charts import Mark, Series

__all__ = ["sign_in_curves"]

_FIGURE: Final = "forced sign-ins per person and day"
_POINTS: Final = 9
"""Points of a curve with an interval: each takes a replay of the whole log."""


def sign_in_curves(predictor: Predictor, option: Option) -> list[tuple[str, str]]:
    """Return the charts with their captions; none where the sign-ins are unknown.

    Sessions with refresh tokens have none: lifetime and buffer force no sign-in there.
    """
    if option.outcome.sign_ins is None or not predictor.measurements.current.slides:
        return []
    return [_by_buffer(predictor, option.plan), _by_lifetime(predictor, option.plan)]


def _by_buffer(predictor: Predictor, plan: SettingsPlan) -> tuple[str, str]:
    from linqi_report.charts import Mark

    buffers = _thinned([*buffers_for(plan.lifetime), plan.buffer])
    plans = [(buffer, replace(plan, buffer=buffer)) for buffer in buffers]
    marks = [
        Mark(at=plan.buffer, label=f"chosen: {given_text(plan.buffer)} s"),
        Mark(at=predictor.measurements.current.buffer, label="in force"),
    ]
    svg = _chart(predictor, "Forced sign-ins, by buffer", "buffer", plans, marks)
    caption = f"At a lifetime of {given_text(plan.lifetime)} s; the band is the interval at 95 %."
    return caption, svg


def _by_lifetime(predictor: Predictor, plan: SettingsPlan) -> tuple[str, str]:
    from linqi_report.charts import Mark

    share = plan.buffer / plan.lifetime
    now = predictor.measurements.current.lifetime
    most, _ = longest_lifetime(predictor.measurements)
    lives = _thinned([*lifetimes_for(min(now, most), most), plan.lifetime])
    plans = [(life, replace(plan, lifetime=life, buffer=life * share)) for life in lives]
    marks = [
        Mark(at=plan.lifetime, label=f"chosen: {given_text(plan.lifetime)} s"),
        Mark(at=now, label="in force"),
    ]
    svg = _chart(predictor, "Forced sign-ins, by lifetime", "lifetime", plans, marks)
    caption = f"With a buffer of {share_text(share)} of the lifetime, up to the longest allowed."
    return caption, svg


def _chart(
    predictor: Predictor,
    title: str,
    label: str,
    plans: list[tuple[float, SettingsPlan]],
    marks: list[Mark],
) -> str:
    from linqi_report.charts import Axis, line_chart

    axis = Axis(label=label, unit="s")
    return line_chart(title, _series(predictor, plans), axis, Axis(label=_FIGURE), marks=marks)


def _series(predictor: Predictor, plans: list[tuple[float, SettingsPlan]]) -> list[Series]:
    from linqi_report.charts import Series

    found = [(at, forced) for at, plan in plans if (forced := predictor.sign_ins(plan)) is not None]
    series = [
        Series(
            name="all causes",
            points=[(at, forced.total.value) for at, forced in found],
            interval=[(at, forced.total.low, forced.total.high) for at, forced in found],
        ),
        Series(
            name="after pauses longer than the lifetime",
            points=[(at, forced.beyond) for at, forced in found],
        ),
        Series(
            name="at the end of a session", points=[(at, forced.capped) for at, forced in found]
        ),
    ]
    target = predictor.measurements.targets.max_sign_ins
    if target is not None:
        ends = (found[0][0], found[-1][0])
        series.append(Series(name="target", points=[(at, target) for at in ends]))
    return series


def _thinned(values: list[float]) -> list[float]:
    """Return at most about `_POINTS` of the values, rising, both ends and the last one included."""
    kept, rising = values[-1], sorted(set(values))
    step = max(1, len(rising) // _POINTS)
    return sorted({*rising[::step], rising[-1], kept})
