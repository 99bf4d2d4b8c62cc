"""Advice as tables in a terminal."""

from __future__ import annotations

from typing import Any

from linqi.tuner.advice import Advice, Option
from linqi.tuner.intervals import Interval
from linqi.tuner.plans import Outcome, Plan

__all__ = ["outcome_rows", "percent", "show", "shown_value"]


def show(console: Any, advice: Advice, chosen: str, remarks: tuple[str, ...]) -> None:
    """Print the choice, the settings of the chosen option, the contradictions and the notes."""
    for remark in remarks:
        console.print(remark, highlight=False, markup=False)
    console.print(_choice(advice, chosen))
    console.print(_settings(advice.option(chosen)))
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


def outcome_rows(plan: Plan, outcome: Outcome) -> list[tuple[str, str]]:
    """Give what a plan is and leads to, as names and texts."""
    loss = outcome.loss
    return [
        ("lifetime / buffer (s)", f"{plan.lifetime:g} / {plan.buffer:g}"),
        ("policy", plan.policy),
        ("lost, of those a buffer can save", percent(loss.savable) if loss else "unknown"),
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


def percent(interval: Interval) -> str:
    """Give a share with its interval in per cent."""
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _settings(option: Option) -> Any:
    from rich.table import Table

    table = Table(title=f"settings, {option.name}", title_justify="left")
    for column in ("key", "value", "why", "by", "would change with"):
        table.add_column(column)
    for one in option.recommendations:
        name = f"{one.table}.{one.key}" if one.table else f"({one.key})"
        value = f"{shown_value(one.value)} {one.unit}".strip()
        table.add_row(name, value, one.reason, ", ".join(one.inputs), one.would_change)
    return table


def shown_value(value: object) -> str:
    """Give a value as the file would have it; a dash where the key is taken out."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
