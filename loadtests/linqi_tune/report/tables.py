"""Advice as tables in a terminal."""

from __future__ import annotations

import math
from typing import Any

from linqi_tune.model.advice import Advice, Option, Recommendation
from linqi_tune.model.intervals import Interval
from linqi_tune.model.losses import Loss
from linqi_tune.model.plans import PlanOutcome, SettingsPlan

__all__ = ["decided_by", "outcome_rows", "percent", "show", "shown_interval", "shown_value"]


def show(console: Any, advice: Advice, chosen: str, remarks: tuple[str, ...]) -> None:
    """Print the choice, the settings of the chosen option, the contradictions and the notes."""
    for remark in remarks:
        console.print(remark, highlight=False, markup=False)
    console.print(_choice(advice, chosen))
    _show_settings(console, advice.option(chosen))
    for one in advice.contradictions:
        console.print(f"contradiction: {one.what}", style="yellow", highlight=False, markup=False)
        if (way := one.cheapest) is not None:
            console.print(
                f"  cheapest to relax: {way.target} {way.eased:.4g} instead of {way.wanted:.4g}",
                highlight=False,
                markup=False,
            )
    for note in advice.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def _choice(advice: Advice, chosen: str) -> Any:
    from rich.table import Table

    table = Table(title="the choice", title_justify="left")
    table.add_column("")
    table.add_column("in force", justify="right")
    for option in advice.options:
        mark = " *" if option.name == chosen else ""
        table.add_column(option.name + mark, justify="right")
    columns = [outcome_rows(advice.plan, advice.outcome)]
    columns += [outcome_rows(option.plan, option.outcome) for option in advice.options]
    for rows in zip(*columns, strict=True):
        table.add_row(rows[0][0], *(text for _, text in rows))
    return table


def outcome_rows(plan: SettingsPlan, outcome: PlanOutcome) -> list[tuple[str, str]]:
    """Give what a plan is and leads to, as names and texts."""
    loss = outcome.loss
    return [
        ("lifetime / buffer (s)", f"{plan.lifetime:g} / {plan.buffer:g}"),
        ("policy", plan.policy),
        ("lost, of those a buffer can save", _lost(loss)),
        ("lost to gaps beyond the lifetime", f"{loss.beyond:.2%}" if loss else "unknown"),
        ("renewals per second", f"{outcome.renewals_per_second:.3g}"),
        ("storm factor (chance alone)", f"{outcome.storm_factor:.2f} ({outcome.noise95:.2f})"),
        ("cache entries, life (s)", f"{plan.cache_entries:,}, {plan.cache_lifetime:g}"),
        ("cache hits, memory (MB)", f"{outcome.hit_ratio:.1%}, {outcome.memory_mb:.3g}"),
        ("processor per request (us)", f"{outcome.request_seconds * 1e6:.0f}"),
        ("workers, each busy", f"{plan.workers}, {outcome.cpu_share:.0%}"),
        ("wait, p99 (ms)", f"{outcome.p99_wait * 1e3:.2g}"),
        ("a stolen token is good for (s)", f"{plan.lifetime:g}"),
    ]


def _lost(loss: Loss | None) -> str:
    if loss is None:
        return "unknown"
    return percent(loss.savable) if math.isfinite(loss.cycles) else "none: refresh tokens"


def percent(interval: Interval) -> str:
    """Give a share with its interval in per cent."""
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _show_settings(console: Any, option: Option) -> None:
    """Print each setting as an entry: its reason is a sentence, which no column is wide enough for.

    Names are bold, what belongs to them is indented, and lines fold at the terminal's own width.
    """
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(f"settings, {option.name}", style="italic"))
    for one in option.recommendations:
        name = f"{one.table}.{one.key} = " if one.table else f"({one.key}) "
        value = "taken out" if one.value is None else f"{shown_value(one.value)} {one.unit}"
        console.print(Text(f"{name}{value}".rstrip(), style="bold"))
        for text in (one.reason, *_of_interval(one), decided_by(one)):
            console.print(Padding(Text(text), (0, 0, 0, 4), expand=False))


def _of_interval(one: Recommendation) -> tuple[str, ...]:
    return (f"{one.interval_of}: {shown_interval(one)}",) if one.interval else ()


def decided_by(one: Recommendation) -> str:
    """Give what decided a setting, and what would change it."""
    return f"By {', '.join(one.inputs)}. Would change with {one.would_change}."


def shown_interval(one: Recommendation) -> str:
    """Give the interval of a setting, shares in per cent."""
    if one.interval is None:
        return ""
    if "share" in one.interval_of or "ratio" in one.interval_of:
        return percent(one.interval)
    return f"{one.interval.value:.3g} ({one.interval.low:.3g} to {one.interval.high:.3g})"


def shown_value(value: object) -> str:
    """Give a value as the file would have it; a dash where the key is taken out."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
