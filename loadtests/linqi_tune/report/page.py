"""The advice as an HTML page: the recommendations, and the curves behind them."""

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
from linqi_tune.report.tables import explained, format_value, option_table, relaxation_of

if TYPE_CHECKING:
    from linqi_report.charts import Series
    from linqi_report.page import Section

__all__ = ["tuning_page"]

_WIDTHS = (0.05, 0.1, 0.25, 0.5, 2 / 3, 1.0)
_RATE = "highest renewal rate / steady rate"


def tuning_page(
    advice: Advice, evidence: Evidence, chosen: str, more: Sequence[Section] = ()
) -> str:
    """Return the page as HTML.

    Args:
        advice: What the tuner advises.
        evidence: What it rests on.
        chosen: The name of the chosen option.
        more: Sections to insert before the curves, such as a proof.

    """
    from linqi_report.page import Section, page, table

    predictor = Predictor(evidence.measurements)
    option = advice.option(chosen)
    intro = "".join(f"<p>{escape(text)}</p>" for text in evidence.remarks)
    sections = [
        Section(
            heading="Settings in force, and three options",
            body=table(*option_table(advice, chosen)),
        ),
        Section(heading=f"Recommended settings ({chosen})", body=_settings(option)),
    ]
    if advice.contradictions:
        heading = "Targets that cannot be met together"
        sections.append(Section(heading=heading, body=_contradictions(advice, table)))
    sections += more
    if losses := _losses(predictor, option):
        sections.append(Section(heading="Renewals lost, by buffer", figures=losses))
    factors, hits = _storms(predictor, advice, option), _hits(predictor, option)
    sections += [
        Section(heading="Storm factor, by renewal policy", figures=factors),
        Section(heading="Cache hits, by size of the cache", figures=hits),
        Section(heading="Limits of these figures", body=_notes(advice)),
    ]
    return page("Tuning", intro, sections)


def _settings(option: Option) -> str:
    """Return each setting as an entry of a list: its reason is a sentence, too long for a cell."""
    parts = []
    for one in option.recommendations:
        name = f"{one.table}.{one.key}" if one.table else one.key
        value = "removed" if one.value is None else f"{format_value(one.value)} {one.unit}".strip()
        parts.append(f"<dt><code>{escape(name)}</code> <strong>{escape(value)}</strong></dt>")
        more = " ".join(explained(one))
        parts.append(f'<dd>{escape(one.reason)}</dd><dd class="soft">{escape(more)}</dd>')
    return f"<dl>{''.join(parts)}</dl>"


def _contradictions(advice: Advice, table: Any) -> str:
    rows = [[(one.what, "warn"), relaxation_of(one) or "none"] for one in advice.contradictions]
    return str(table(["contradiction", "smallest change that resolves it"], rows))


def _notes(advice: Advice) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in advice.notes)
    return f"<ul>{items}</ul>" if items else "<p>None.</p>"


def _losses(predictor: Predictor, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Mark, line_chart

    plan = option.plan
    series = _loss_series(predictor, plan.lifetime)
    if not series or not predictor.measurements.current.slides:
        return []
    target = predictor.measurements.targets.max_lost
    seen = [share for _, share in series[0].points if share]
    low = min(max(1e-6, min(seen, default=1e-4) / 3), target / 2)
    svg = line_chart(
        "Renewals lost, by buffer",
        series,
        Axis(label="buffer", unit="s"),
        Axis(label="share of renewals lost", is_log=True, low=low, high=1.0),
        marks=[
            Mark(at=plan.buffer, label=f"chosen: {plan.buffer:g} s"),
            Mark(at=predictor.measurements.current.buffer, label="in force"),
        ],
    )
    return [(f"At a lifetime of {plan.lifetime:g} s; the band is the interval at 95 %.", svg)]


def _loss_series(predictor: Predictor, lifetime: float) -> list[Series]:
    """Return the curves of the loss by buffer; none where it is unknown."""
    from linqi_report.charts import Series

    buffers = buffers_for(lifetime)
    losses = [(b, loss) for b in buffers if (loss := predictor.loss(lifetime, b)) is not None]
    if not losses:
        return []
    series = [
        Series(
            name="a longer buffer would have saved",
            points=[(b, loss.savable.value) for b, loss in losses],
            interval=[(b, loss.savable.low, loss.savable.high) for b, loss in losses],
        ),
        Series(name="all, with longer pauses", points=[(b, loss.total) for b, loss in losses]),
    ]
    if predictor.is_gap_known:
        rate = 1 / predictor.gaps.mean
        naive = [(b, loss_by_rate(rate, b)) for b, _ in losses]
        series.append(Series(name="from the mean rate alone", points=naive))
    target = predictor.measurements.targets.max_lost
    ends = (losses[0][0], losses[-1][0])
    return [*series, Series(name="target", points=[(b, target) for b in ends])]


def _storms(predictor: Predictor, advice: Advice, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Bar, bar_chart

    now, noise95 = advice.plan, option.outcome.noise95
    widths = [(width, "") for width in _WIDTHS]
    if now.policy == "jitter":
        widths.append((now.jitter_width, " (in force)"))
    plain = "plain threshold (in force)" if now.policy == "plain" else "plain threshold"
    plans = [(plain, replace(option.plan, policy="plain"))]
    plans += [
        (f"jitter {width:.2g}{mark}", replace(option.plan, policy="jitter", jitter_width=width))
        for width, mark in widths
    ]
    plans.append(("grid (chosen)", replace(option.plan, policy="grid")))
    bars = []
    for label, plan in plans:
        factor = predictor.storm_factor(plan)
        bars.append(Bar(label=label, value=factor, limit=noise95, is_bad=factor > 1.5 * noise95))
    svg = bar_chart("Storm factor, by renewal policy", bars, Axis(label=_RATE))
    window = option.outcome.window
    return [
        (
            f"The highest renewal rate over {window:.3g} s after a common sign-in, over the steady"
            " rate; the line is the level of chance for sessions that are spread evenly.",
            svg,
        )
    ]


def _hits(predictor: Predictor, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Mark, Series, line_chart

    plan, needed = option.plan, option.outcome.entries_needed
    now = predictor.measurements.current.cache_entries
    tried = {max(1, round(needed * 2.0 ** (step / 2))) for step in range(-12, 5)}
    sizes = sorted(tried | {now, plan.cache_entries})
    points = [(float(n), predictor.hit_share(replace(plan, cache_entries=n))) for n in sizes]
    svg = line_chart(
        "Cache hits, by size of the cache",
        [Series(name="hits", points=points)],
        Axis(label="cache entries of each worker", is_log=True, low=sizes[0], high=sizes[-1]),
        Axis(label="share of verifications", low=0.0, high=1.0),
        marks=[
            Mark(at=plan.cache_entries, label=f"chosen: {plan.cache_entries:,}"),
            Mark(at=now, label=f"in force: {now:,}"),
        ],
    )
    return [(f"With a cache lifetime of {plan.cache_lifetime:g} s.", svg)]
