"""The advice as an HTML page: the recommendations, and the curves behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from linqi_tune.evidence.sources import Evidence
from linqi_tune.model.advice import Advice, Option
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import count_text, given_text, number_text
from linqi_tune.report.sign_in_charts import sign_in_curves
from linqi_tune.report.tables import (
    explained,
    format_value,
    option_table,
    policy_table,
    refresh_texts,
    relaxation_of,
)

if TYPE_CHECKING:
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
    if option.contradictions:
        heading = "Targets that cannot be met together"
        sections.append(Section(heading=heading, body=_contradictions(option, table)))
    sections += more
    if curves := sign_in_curves(predictor, option):
        sections.append(Section(heading="Forced sign-ins per person and day", figures=curves))
    factors, hits = _storms(predictor, advice, option), _hits(predictor, option)
    policies = table(*policy_table(advice)) if advice.policies else ""
    sections += [
        Section(heading="Renewal policies", body=policies, figures=factors),
        Section(heading="Cache hits, by size of the cache", figures=hits),
        Section(heading="Limits of these figures", body=_notes(advice, option)),
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


def _contradictions(option: Option, table: Any) -> str:
    rows = [
        [(one.what, "warn long"), (relaxation_of(one) or "none", "long")]
        for one in option.contradictions
    ]
    return str(table(["contradiction", "smallest change that resolves it"], rows))


def _notes(advice: Advice, option: Option) -> str:
    notes = (*refresh_texts(advice, option), *advice.notes)
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>" if items else "<p>None.</p>"


def _storms(predictor: Predictor, advice: Advice, option: Option) -> list[tuple[str, str]]:
    from linqi_report.charts import Axis, Bar, bar_chart

    now, noise95 = advice.plan, option.outcome.noise95
    widths = [(width, "") for width in _WIDTHS]
    if now.policy == "jitter":
        widths.append((now.jitter_width, " (in force)"))
    plain = "plain threshold (in force)" if now.policy == "plain" else "plain threshold"
    plans = [(plain, replace(option.plan, policy="plain"))]
    plans += [
        (
            f"jitter {number_text(width, 2)}{mark}",
            replace(option.plan, policy="jitter", jitter_width=width),
        )
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
            f"The highest renewal rate over {number_text(window)} s after a common sign-in, over"
            " the steady rate; the line is the level of chance for sessions spread evenly.",
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
            Mark(at=plan.cache_entries, label=f"chosen: {count_text(plan.cache_entries)}"),
            Mark(at=now, label=f"in force: {count_text(now)}"),
        ],
    )
    return [(f"With a cache lifetime of {given_text(plan.cache_lifetime)} s.", svg)]
