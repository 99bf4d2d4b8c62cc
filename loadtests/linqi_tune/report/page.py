"""Advice as an HTML page: the recommendations, and the curves behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from linqi_tune.evidence.sources import Evidence
from linqi_tune.model.advice import Advice, Option
from linqi_tune.model.lifetimes import buffers_for
from linqi_tune.model.losses import loss_by_rate
from linqi_tune.model.predictor import Predictor
from linqi_tune.report.tables import decided_by, outcome_rows, shown_interval, shown_value

if TYPE_CHECKING:
    from linqi_report.page import Section

__all__ = ["tuning_page"]

_WIDTHS = (0.05, 0.1, 0.25, 0.5, 2 / 3, 1.0)


def tuning_page(
    advice: Advice, evidence: Evidence, chosen: str, more: Sequence[Section] = ()
) -> str:
    """Give the page; `more` are sections that stand before the curves, such as a proof."""
    from linqi_report.page import Section, page, table

    predictor = Predictor(evidence.measurements)
    option = advice.option(chosen)
    intro = "".join(f"<p>{escape(text)}</p>" for text in evidence.remarks)
    sections = [
        Section(heading="The choice", body=_choice(advice, chosen, table)),
        Section(heading=f"Settings, {chosen}", body=_settings(option)),
        *([Section(heading="Contradictions", body=_contradictions(advice, table))]
          if advice.contradictions else []),
        *more,
        *([Section(heading="Loss against buffer", figures=losses)]
          if (losses := _losses(predictor, option)) else []),
        Section(heading="Storm peak against policy", figures=_storms(predictor, advice, option)),
        Section(heading="Cache hits against entries", figures=_hits(predictor, option)),
        Section(heading="Before these figures are believed", body=_notes(advice)),
    ]  # fmt: skip
    return page("Tuning", intro, sections)


def _choice(advice: Advice, chosen: str, table: Any) -> str:
    names = [option.name + (" (chosen)" if option.name == chosen else "")
             for option in advice.options]  # fmt: skip
    columns = [outcome_rows(advice.plan, advice.outcome)]
    columns += [outcome_rows(option.plan, option.outcome) for option in advice.options]
    rows = [[row[0][0], *(text for _, text in row)] for row in zip(*columns, strict=True)]
    return str(table(["", "in force", *names], rows))


def _settings(option: Option) -> str:
    """Give each setting as an entry of a list: its reason is a sentence, no cell."""
    parts = []
    for one in option.recommendations:
        name = f"{one.table}.{one.key}" if one.table else one.key
        value = f"{shown_value(one.value)} {one.unit}".strip()
        value = "taken out" if one.value is None else value
        parts.append(f"<dt><code>{escape(name)}</code> <strong>{escape(value)}</strong></dt>")
        said = decided_by(one)
        if one.interval:
            between = f"{one.interval_of[:1].upper()}{one.interval_of[1:]}: {shown_interval(one)}."
            said = f"{between} {said}"
        parts.append(f'<dd>{escape(one.reason)}</dd><dd class="soft">{escape(said)}</dd>')
    return f"<dl>{''.join(parts)}</dl>"


def _contradictions(advice: Advice, table: Any) -> str:
    rows = []
    for one in advice.contradictions:
        way = one.cheapest
        relax = f"{way.target} {way.eased:.4g} instead of {way.wanted:.4g}" if way else "none"
        rows.append([(one.what, "warn"), relax])
    return str(table(["what", "cheapest target to relax"], rows))


def _notes(advice: Advice) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in advice.notes)
    return f"<ul>{items}</ul>" if items else "<p>Nothing in particular.</p>"


def _losses(predictor: Predictor, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Mark, Series, line_chart

    plan = option.plan
    found = [(b, predictor.loss(plan.lifetime, b)) for b in buffers_for(plan.lifetime)]
    known = [(b, loss) for b, loss in found if loss is not None]
    if not known or not predictor.measurements.current.slides:
        return []
    rate = 1 / predictor.gaps.mean
    series = [
        Series(
            name="lost, of those a buffer can save",
            points=[(b, loss.savable.value) for b, loss in known],
            band=[(b, loss.savable.low, loss.savable.high) for b, loss in known],
        ),
        Series(name="with gaps beyond the lifetime", points=[(b, v.total) for b, v in known]),
    ]
    if predictor.is_gap_known:
        naive = [(b, loss_by_rate(rate, b)) for b, _ in known]
        series.append(Series(name="what the mean rate alone would say", points=naive))
    target = predictor.measurements.targets.max_lost
    series.append(Series(name="target", points=[(b, target) for b in (known[0][0], known[-1][0])]))
    least = max(1e-6, min((v for one in series[:1] for _, v in one.points if v), default=1e-4) / 3)
    svg = line_chart(
        "Loss against buffer", series, Axis(label="buffer", unit="s"),
        Axis(label="share of renewals lost", is_log=True, low=min(least, target / 2), high=1.0),
        marks=[
            Mark(at=plan.buffer, label=f"chosen: {plan.buffer:g} s"),
            Mark(at=predictor.measurements.current.buffer, label="in force"),
        ],
    )  # fmt: skip
    return [(f"At a lifetime of {plan.lifetime:g} s; the band is the interval at 95 %.", svg)]


def _storms(predictor: Predictor, advice: Advice, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Bar, bar_chart

    plan = option.plan
    now = advice.plan.policy
    in_force = {now: " (in force)"} if now in ("plain", "grid") else {}
    tried = [(f"plain threshold{in_force.get('plain', '')}", replace(plan, policy="plain"))]
    tried += [
        (f"jitter {width:.2g}", replace(plan, policy="jitter", jitter_width=width))
        for width in _WIDTHS
    ]
    if now == "jitter":
        width = advice.plan.jitter_width
        one = replace(plan, policy="jitter", jitter_width=width)
        tried.append((f"jitter {width:.2g} (in force)", one))
    tried.append(("grid (chosen)", replace(plan, policy="grid")))
    bars = [
        Bar(label=name, value=factor, limit=option.outcome.noise95,
            is_bad=factor > 1.5 * option.outcome.noise95)
        for name, factor in ((name, predictor.storm_factor(one)) for name, one in tried)
    ]  # fmt: skip
    svg = bar_chart("Storm factor by policy", bars, Axis(label="highest rate over the steady one"))
    window = option.outcome.window
    return [(f"Over {window:.3g} s; the line is what chance alone makes of spread sessions.", svg)]


def _hits(predictor: Predictor, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Mark, Series, line_chart

    plan, needed = option.plan, option.outcome.entries_needed
    now = predictor.measurements.current.cache_entries
    tried = {max(1, round(needed * 2.0 ** (step / 2))) for step in range(-12, 5)}
    sizes = sorted(tried | {now, plan.cache_entries})
    points = [(float(n), predictor.hit_share(replace(plan, cache_entries=n))) for n in sizes]
    marks = [
        Mark(at=plan.cache_entries, label=f"chosen: {plan.cache_entries:,}"),
        Mark(at=now, label=f"in force: {now:,}"),
    ]
    svg = line_chart(
        "Cache hits against entries", [Series(name="hits", points=points)],
        Axis(label="entries in each worker", is_log=True, low=sizes[0], high=sizes[-1]),
        Axis(label="share of verifications", low=0.0, high=1.0), marks=marks,
    )  # fmt: skip
    return [(f"With a cache lifetime of {plan.cache_lifetime:g} s.", svg)]
