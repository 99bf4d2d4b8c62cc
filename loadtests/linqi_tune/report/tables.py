"""The advice as tables and texts in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from linqi_tune.model.advice import Advice, Contradiction, Option, Recommendation
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.quantities import (
    count_text,
    days_text,
    eased_text,
    factor_text,
    given_text,
    interval_text,
    number_text,
    rate_text,
    share_text,
    sign_ins_text,
)

__all__ = [
    "POLICIES_TITLE",
    "explained",
    "format_interval",
    "format_value",
    "option_table",
    "policy_table",
    "refresh_texts",
    "relaxation_of",
    "show_advice",
    "shows_refresh_tokens",
]

POLICIES_TITLE: Final = "renewal policies, at the lifetime and buffer of balanced"


def show_advice(console: Any, advice: Advice, chosen: str, remarks: tuple[str, ...]) -> None:
    """Print the options, the policies, the settings of the chosen option, and what limits it."""
    option = advice.option(chosen)
    for remark in remarks:
        console.print(remark, highlight=False, markup=False)
    console.print(_table("settings in force, and three options", *option_table(advice, chosen)))
    if advice.policies:
        console.print(_table(POLICIES_TITLE, *policy_table(advice)))
    _show_settings(console, option)
    for one in option.contradictions:
        console.print(f"contradiction: {one.what}", style="yellow", highlight=False, markup=False)
        if one.ways:
            text = f"  smallest change: {relaxation_of(one)}"
            console.print(text, highlight=False, markup=False)
    for note in (*refresh_texts(advice, option), *advice.notes):
        console.print(f"note: {note}", highlight=False, markup=False)


def relaxation_of(one: Contradiction) -> str:
    """Return the smallest change of a target that resolves a contradiction; empty for none."""
    way = one.cheapest
    if way is None:
        return ""
    return f"{way.target} {eased_text(way.eased, way.wanted)} instead of {given_text(way.wanted)}"


def _table(title: str, header: list[str], rows: list[list[str]]) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(header[0])
    for name in header[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def option_table(advice: Advice, chosen: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of options; its first column names figures.

    Refresh tokens are a column where they are shown (`shows_refresh_tokens`).
    """
    names = [
        f"{option.name} (chosen)" if option.name == chosen else option.name
        for option in advice.options
    ]
    columns = [_figures(advice.plan, advice.outcome)]
    columns += [_figures(option.plan, option.outcome) for option in advice.options]
    if shows_refresh_tokens(advice, advice.option(chosen)) and advice.refreshed is not None:
        names.append("refresh tokens")
        columns.append(_figures(advice.refreshed.plan, advice.refreshed.outcome))
    rows = [[same[0][0], *(text for _, text in same)] for same in zip(*columns, strict=True)]
    return ["figure", "in force", *names], rows


def _figures(plan: SettingsPlan, outcome: PlanOutcome) -> list[tuple[str, str]]:
    """Return the figures of a plan, each with its heading."""
    forced = outcome.sign_ins
    causes = ["unknown"] * 3
    if forced is not None:
        causes = [sign_ins_text(rate) for rate in (forced.savable, forced.beyond, forced.capped)]
    return [
        ("token lifetime / buffer (s)", f"{given_text(plan.lifetime)} / {given_text(plan.buffer)}"),
        ("renewal policy", plan.policy),
        (
            "forced sign-ins per person and day",
            interval_text(forced.total, sign_ins_text) if forced else "unknown",
        ),
        ("of these a longer buffer would save", causes[0]),
        ("of these after pauses longer than the lifetime", causes[1]),
        ("of these at the end of a session", causes[2]),
        ("renewals per second, steady", number_text(outcome.renewals_per_second)),
        (
            "storm factor: peak / steady renewals",
            factor_text(outcome.storm_factor, outcome.noise95),
        ),
        (
            "cache entries per worker, kept for (s)",
            f"{count_text(plan.cache_entries)}, {given_text(plan.cache_lifetime)}",
        ),
        (
            "cache hits, memory per worker (MB)",
            f"{share_text(outcome.hit_ratio)}, {number_text(outcome.memory_mb)}",
        ),
        ("processor time per request (us)", number_text(outcome.request_seconds * 1e6)),
        ("workers, utilisation of each", f"{plan.workers}, {share_text(outcome.cpu_share)}"),
        ("wait for a worker, p99 (ms)", number_text(outcome.p99_wait * 1e3, 2)),
        ("a stolen access token is valid for at most (s)", given_text(plan.lifetime)),
    ]


def policy_table(advice: Advice) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of what each renewal policy would lead to."""
    rows = [
        [
            f"{one.policy} {number_text(one.jitter_width)}"
            if one.policy == "jitter"
            else one.policy,
            interval_text(one.sign_ins, sign_ins_text) if one.sign_ins else "unknown",
            factor_text(one.storm_factor, one.noise95),
        ]
        for one in advice.policies
    ]
    return [
        "policy",
        "forced sign-ins per person and day",
        "storm factor: peak / steady renewals",
    ], rows


def shows_refresh_tokens(advice: Advice, option: Option) -> bool:
    """Return whether refresh tokens are shown: they save most sign-ins, or meet the target."""
    refreshed = advice.refreshed
    if refreshed is None:
        return False
    is_missed = any(one.code == "sign-ins" for one in option.contradictions)
    return refreshed.is_notable or (is_missed and refreshed.saved > 0)


def refresh_texts(advice: Advice, option: Option) -> Iterator[str]:
    """Yield what refresh tokens would save and cost, if they are shown."""
    one = advice.refreshed
    if one is None or one.outcome.sign_ins is None or not shows_refresh_tokens(advice, option):
        return
    left = one.outcome.sign_ins
    yield (
        f"Refresh tokens (dual tokens, [store] in linqi.toml) would save {share_text(one.saved)} of"
        f" the forced sign-ins: {sign_ins_text(left.total.value)} per person and day are left, when"
        f" a session was not used for {days_text(one.idle)} or ended after"
        f" {days_text(one.plan.max_session)}. They cost"
        f" {rate_text(one.outcome.renewals_per_second, 'refreshes')}, each of them one request more"
        " and one write to the store, a store that every worker reaches, and clients that refresh."
        f" Revocations reach every worker by the store's feed; while it is lost, a revoked access"
        f" token is accepted for at most {days_text(one.revoked_within)}."
    )


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
    if one.interval_of.startswith("forced sign-ins"):
        return interval_text(one.interval, sign_ins_text)
    if "share" in one.interval_of or "ratio" in one.interval_of:
        return interval_text(one.interval, share_text)
    return interval_text(one.interval, number_text)


def format_value(value: object) -> str:
    """Return a value as linqi.toml has it, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)
