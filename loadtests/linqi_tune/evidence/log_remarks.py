"""What the reader of a log should know of it, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from linqi_tune.evidence.access_log import LogMeasurements
from linqi_tune.evidence.log_detection import masked
from linqi_tune.evidence.log_selection import KINDS
from linqi_tune.evidence.populations import Population
from linqi_tune.model.quantities import days_text

__all__ = ["remarks_on_log"]

_TOLD_FROM: Final = 0.01
_LONGEST_AGENT: Final = 60


def remarks_on_log(log: LogMeasurements, selected: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what was read, what was left out, and who stands out.

    `selected` holds the kinds that ``--exclude`` and ``--only`` name.
    """
    summary = log.summary
    span = days_text(summary.ended - summary.began)
    yield (
        f"{summary.lines:,} lines of the format {summary.format} over {span}:"
        f" {summary.visits:,} requests of {summary.sessions:,} sessions,"
        f" {log.visitors.sessions:,} active at once; {summary.malformed:,} malformed lines and"
        f" {summary.nameless:,} without a session were skipped."
    )
    sampled = len(log.histories.pages)
    if sampled < log.histories.persons:
        yield (
            f"The pauses of {sampled:,} of {log.histories.persons:,} sessions, drawn at random,"
            " are replayed."
        )
    if summary.left_out:
        yield f"{summary.left_out:,} requests were left out by --exclude or --only."
    if summary.quiet:
        yield (
            f"{summary.quiet:,} requests to quiet paths extend no session: they count in the peak"
            " rate, but not in the pauses."
        )
    if summary.left:
        yield (
            f"{summary.left:,} sessions sent no request for a day or until the end; whether they"
            " would have returned is unknown, so their last gap is not counted."
        )
    if summary.sessions and summary.refused > summary.visits * _TOLD_FROM:
        yield (
            f"{summary.refused / summary.visits:.1%} of the requests were refused (401). If a"
            " refused session gets another name, its gap is missing, and losses read too low."
        )
    if summary.out_of_order:
        yield (
            f"{summary.out_of_order:,} lines were earlier than the line before, by up to"
            f" {summary.farthest_back:,.1f} s; all were sorted."
        )
    for population in log.populations:
        if _stands_out(population):
            yield _described(population, population.kind in selected)


def _stands_out(population: Population) -> bool:
    return max(population.requests, population.pages, population.at_risk) >= _TOLD_FROM


def _described(population: Population, is_selected: bool) -> str:
    agent = masked(population.agent)[:_LONGEST_AGENT] or "no user agent"
    path = re.sub(r"[^/]*[0-9][^/]*", "*", masked(population.path)) or "no path"
    option = (
        "they were selected by --exclude or --only"
        if is_selected
        else f"--exclude {population.kind} leaves them out"
    )
    return (
        f"{KINDS[population.kind].capitalize()}: {population.persons:,} with"
        f" {population.requests:.0%} of the requests, {population.pages:.0%} of the pages and"
        f" {population.at_risk:.0%} of the pauses longer than the buffer in force (the largest:"
        f" {agent}, {path}); {option}."
    )
