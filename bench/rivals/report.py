"""A run as one table, and as lists of what each rival did."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from linqi_bench.timing import TimedBlocks
from rivals.catalogue import ALGORITHMS, RIVALS, Rival
from rivals.guard_cost import GuardCost
from rivals.probe_run import ProbeOutcomes
from rivals.probes import OVERSIZED, PROBES

__all__ = ["Report", "as_markdown", "print_report", "ranked"]

_COLUMNS: Final = (
    *("", "rival", "version", "bare", "cold", "x ours", "claims", "x ours"),
    *("crowd", "x ours", "hot", "x ours", "decode cold", "decode hot", "not checked"),
)
_LEGEND: Final = (
    "All figures are microseconds of CPU time. bare: one request to the library's own"
    " application without the guard. cold and hot: the CPU time that the guard adds to one"
    " request; cold: every token is distinct; claims: the same, and the application reads another"
    " claim besides the subject; crowd: 10,000 tokens in turn, all of them in the cache where the"
    " library has one; hot: eight tokens repeat. decode: one call of the library alone, inside"
    " its process. ± is half the 95 % interval of the median. x"
    " ours: the figure divided by that of linqi around the same framework (around bare ASGI"
    " for Litestar and Node.js). x ours is blank where an interval reaches zero."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a run."""

    machine: dict[str, Any]
    command: str
    versions: dict[str, dict[str, str]]
    costs: tuple[GuardCost, ...]
    observed: tuple[ProbeOutcomes, ...]
    missing: dict[str, str]
    """The rivals whose environment could not be installed, with the reasons."""

    def as_json(self) -> dict[str, Any]:
        """Return the members of a JSON object."""
        return {
            "format": 1,
            "machine": self.machine,
            "command": self.command,
            "versions": self.versions,
            "costs": [cost.as_json() for cost in self.costs],
            "observed": [
                {
                    "app": each.app,
                    "answers": each.answers,
                    "oversized": each.oversized,
                    "renewals": each.renewals,
                }
                for each in self.observed
            ],
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Report:
        """Read the members that `as_json` returned."""
        return cls(
            machine=members["machine"],
            command=members["command"],
            versions=members["versions"],
            costs=tuple(map(GuardCost.from_json, members["costs"])),
            observed=tuple(
                ProbeOutcomes(
                    app=each["app"],
                    answers=each["answers"],
                    oversized={name: (way, us) for name, (way, us) in each["oversized"].items()},
                    renewals=each["renewals"],
                )
                for each in members["observed"]
            ),
            missing=members["missing"],
        )

    @classmethod
    def joined(cls, parts: Sequence[Report]) -> Report:
        """Return one report of several runs; where two measured the same, the later counts."""
        costs = {(cost.app, cost.alg): cost for part in parts for cost in part.costs}
        observed = {each.app: each for part in parts for each in part.observed}
        return cls(
            machine=parts[0].machine,
            command="; ".join(dict.fromkeys(part.command for part in parts)),
            versions={app: found for part in parts for app, found in part.versions.items()},
            costs=tuple(costs.values()),
            observed=tuple(observed.values()),
            missing={app: why for part in parts for app, why in part.missing.items()},
        )


def ranked(costs: Iterable[GuardCost], alg: str) -> list[GuardCost]:
    """Return the costs of `alg`, the smallest cold figure first, missing ones last."""
    chosen = [cost for cost in costs if cost.alg == alg]
    return sorted(chosen, key=lambda cost: math.inf if cost.cold is None else cost.cold.median)


def print_report(console: Console, report: Report) -> None:
    """Print the table, then what was observed."""
    table = Table(title="linqi and its rivals", caption=_LEGEND, caption_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in _LEFT else "right")
    for row in _rows(report):
        if row is None:
            table.add_section()
        else:
            table.add_row(*row)
    if report.costs:
        console.print(table)
    for title, lines in _observations(report):
        console.print(f"\n[bold]{title}[/bold]", highlight=False)
        for line in lines:
            console.print(f"  {line}", highlight=False, markup=False)
    for line in _footnotes(report):
        console.print(line, highlight=False, markup=False)


def as_markdown(report: Report) -> str:
    """Return the same as Markdown."""
    rows = [_COLUMNS, *(row for row in _rows(report) if row is not None)]
    table = [f"| {' | '.join(row)} |" for row in rows]
    table.insert(1, "|" + "|".join(" --- " if c in _LEFT else " ---: " for c in _COLUMNS) + "|")
    parts = ["\n".join(table), _LEGEND] if report.costs else []
    for title, lines in _observations(report):
        parts.append(f"### {title}\n\n" + "\n".join(f"- {line}" for line in lines))
    parts.append("\n".join(f"- {line}" for line in _footnotes(report)))
    return "\n\n".join(parts) + "\n"


_LEFT: Final = ("", "rival", "version", "not checked")


def _rows(report: Report) -> Iterable[tuple[str, ...] | None]:
    rivals = {rival.app: rival for rival in RIVALS}
    by_key = {(cost.app, cost.alg): cost for cost in report.costs}
    for alg in ALGORITHMS:
        for cost in ranked(report.costs, alg):
            rival = rivals[cost.app]
            yield _row(rival, cost, by_key.get((rival.beside, alg)), report.versions)
        yield None


def _row(
    rival: Rival, cost: GuardCost, ours: GuardCost | None, versions: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...]:
    version = versions.get(rival.app, {}).get(rival.packages[0], "")
    if cost.note and cost.cold is None:
        return (cost.alg, rival.name, version, *[""] * (len(_COLUMNS) - 4), cost.note)
    compared = []
    for column in ("cold", "claims", "crowd", "hot"):
        theirs, our = getattr(cost, column), getattr(ours, column, None)
        compared += [_number(theirs), _ratio(rival, theirs, our)]
    return (
        cost.alg,
        rival.name,
        version,
        _number(cost.bare),
        *compared,
        _number(cost.decode_cold),
        _number(cost.decode_hot),
        "; ".join(filter(None, (rival.unchecked, cost.note))),
    )


def _number(sample: TimedBlocks | None) -> str:
    if sample is None:
        return ""
    return f"{sample.median:.1f} ±{(sample.high - sample.low) / 2:.1f}"


def _ratio(rival: Rival, theirs: TimedBlocks | None, ours: TimedBlocks | None) -> str:
    """Return theirs over ours; blank for ours, and where an interval includes zero."""
    if rival.is_ours or theirs is None or ours is None or min(theirs.low, ours.low) <= 0:
        return ""
    return f"{theirs.median / ours.median:.1f}"


def _observations(report: Report) -> Iterable[tuple[str, list[str]]]:
    names = {rival.app: rival.name for rival in RIVALS}
    if not report.observed:
        return
    differing = [
        f"{probe.name} (wanted: {probe.wanted}; {probe.why}): "
        + _by_outcome(names, {each.app: each.answers.get(probe.name) for each in report.observed})
        for probe in PROBES
    ]
    yield "What came of each token", differing
    yield (
        "What a forged, oversized token costs to refuse, in microseconds",
        [
            f"{name}: "
            + ", ".join(
                f"{names[each.app]} {each.oversized[name][1]:.0f} ({each.oversized[name][0]})"
                for each in sorted(report.observed, key=lambda each: each.oversized[name][1])
            )
            for name in OVERSIZED
        ],
    )
    questions = dict.fromkeys(question for each in report.observed for question in each.renewals)
    yield (
        "Renewal and revocation",
        [
            f"{question}: "
            + _by_outcome(
                names, {each.app: each.renewals.get(question) for each in report.observed}
            )
            for question in questions
        ],
    )


def _by_outcome(names: Mapping[str, str], outcomes: Mapping[str, str | None]) -> str:
    """Return the rivals by behaviour, the rarest first; None means not applicable."""
    groups: dict[str, list[str]] = {}
    for app, outcome in outcomes.items():
        if outcome is not None:
            groups.setdefault(outcome, []).append(names[app])
    ordered = sorted(groups.items(), key=lambda group: len(group[1]))
    told = [f"{outcome}: {', '.join(apps)}" for outcome, apps in ordered]
    if ordered and len(ordered[-1][1]) > _MANY:
        outcome, apps = ordered[-1]
        told[-1] = f"{outcome}: {'the other' if ordered[:-1] else 'all'} {len(apps)}"
    return "; ".join(told)


_MANY: Final = 8
"""More rivals than this are counted, not named, where they did what most did."""


def _footnotes(report: Report) -> list[str]:
    machine = report.machine
    names = {rival.app: rival.name for rival in RIVALS}
    lines = [
        f"{report.command} at {machine['taken_at']}: {machine['processor']}, {machine['cpus']}"
        f" CPUs, load {machine['load_1_minute']}, {machine['system']}"
        f" ({', '.join(machine['hints'])})"
    ]
    seen: dict[str, list[str]] = {}
    for app, found in report.versions.items():
        text = ", ".join(f"{name} {number}" for name, number in found.items())
        seen.setdefault(text, []).append(names[app])
    lines.extend(f"{', '.join(apps)}: {text}" for text, apps in seen.items())
    lines.extend(f"{names[app]} was left out: {why}" for app, why in report.missing.items())
    return lines
