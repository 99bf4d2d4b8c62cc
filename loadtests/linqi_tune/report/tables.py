"""The advice as tables and texts in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from linqi_tune.model.advice import Advice, Contradiction, Option, Recommendation
from linqi_tune.model.intervals import Interval
from linqi_tune.model.losses import Loss
from linqi_tune.model.plans import PlanOutcome, SettingsPlan

__all__ = [
    "explained",
    "format_interval",
    "format_value",
    "option_table",
    "relaxation_of",
    "show_advice",
]


def show_advice(console: Any, advice: Advice, chosen: str, remarks: tuple[str, ...]) -> None:
    """Print the options, the settings of the chosen one, the contradictions and the notes."""
    for remark in remarks:
        console.print(remark, highlight=False, markup=False)
    console.print(_options(advice, chosen))
    _show_settings(console, advice.option(chosen))
    for one in advice.contradictions:
        console.print(f"contradiction: {one.what}", style="yellow", highlight=False, markup=False)
        if one.ways:
            text = f"  smallest change: {relaxation_of(one)}"
            console.print(text, highlight=False, markup=False)
    for note in advice.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def relaxation_of(one: Contradiction) -> str:
    """Return the smallest change of a target that resolves a contradiction; empty for none."""
    way = one.cheapest
    return f"{way.target} {way.eased:.4g} instead of {way.wanted:.4g}" if way else ""


def _options(advice: Advice, chosen: str) -> Any:
    from rich.table import Table

    header, rows = option_table(advice, chosen)
    table = Table(title="settings in force, and three options", title_justify="left")
    table.add_column(header[0])
    for name in header[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def option_table(advice: Advice, chosen: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of options; its first column names figures."""
    names = [
        f"{option.name} (chosen)" if option.name == chosen else option.name
        for option in advice.options
    ]
    columns = [_figures(advice.plan, advice.outcome)]
    columns += [_figures(option.plan, option.outcome) for option in advice.options]
    rows = [[same[0][0], *(text for _, text in same)] for same in zip(*columns, strict=True)]
    return ["figure", "in force", *names], rows


def _figures(plan: SettingsPlan, outcome: PlanOutcome) -> list[tuple[str, str]]:
    """Return the figures of a plan, each with its heading."""
    loss = outcome.loss
    return [
        ("token lifetime / buffer (s)", f"{plan.lifetime:g} / {plan.buffer:g}"),
        ("renewal policy", plan.policy),
        ("renewals lost that a longer buffer would have saved", _lost(loss)),
        (
            "renewals lost to pauses longer than the lifetime",
            f"{loss.beyond:.2%}" if loss else "unknown",
        ),
        ("renewals per second, steady", f"{outcome.renewals_per_second:.3g}"),
        (
            "storm factor: peak / steady renewals (chance alone)",
            f"{outcome.storm_factor:.2f} ({outcome.noise95:.2f})",
        ),
        (
            "cache entries per worker, kept for (s)",
            f"{plan.cache_entries:,}, {plan.cache_lifetime:g}",
        ),
        ("cache hits, memory per worker (MB)", f"{outcome.hit_ratio:.1%}, {outcome.memory_mb:.3g}"),
        ("processor time per request (us)", f"{outcome.request_seconds * 1e6:.0f}"),
        ("workers, utilisation of each", f"{plan.workers}, {outcome.cpu_share:.0%}"),
        ("wait for a worker, p99 (ms)", f"{outcome.p99_wait * 1e3:.2g}"),
        ("a stolen access token is valid for at most (s)", f"{plan.lifetime:g}"),
    ]


def _lost(loss: Loss | None) -> str:
    if loss is None:
        return "unknown"
    return _percent(loss.savable) if math.isfinite(loss.cycles) else "none: refresh tokens"


def _percent(interval: Interval) -> str:
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _show_settings(console: Any, option: Option) -> None:
    """Print each setting as an entry: its reason is a sentence, too long for a column.

    Names are bold, their texts are indented, and lines fold at the terminal's own width.
    """
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(f"recommended settings, {option.name}", style="italic"))
    for one in option.recommendations:
        name = f"{one.table}.{one.key} = " if one.table else f"({one.key}) "
        value = "removed" if one.value is None else f"{format_value(one.value)} {one.unit}"
        console.print(Text(f"{name}{value}".rstrip(), style="bold"))
        for text in (one.reason, *explained(one)):
            console.print(Padding(Text(text), (0, 0, 0, 4), expand=False))


def explained(one: Recommendation) -> Iterator[str]:
    """Yield the interval of a setting if it has one, what decided it, and what would change it."""
    if one.interval:
        yield f"{one.interval_of[:1].upper()}{one.interval_of[1:]}: {format_interval(one)}."
    yield f"Decided by: {', '.join(one.inputs)}. Would change with: {one.would_change}."


def format_interval(one: Recommendation) -> str:
    """Return the interval of a setting, shares in per cent; empty if it has none."""
    if one.interval is None:
        return ""
    if "share" in one.interval_of or "ratio" in one.interval_of:
        return _percent(one.interval)
    return f"{one.interval.value:.3g} ({one.interval.low:.3g} to {one.interval.high:.3g})"


def format_value(value: object) -> str:
    """Return a value as linqi.toml has it, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)
