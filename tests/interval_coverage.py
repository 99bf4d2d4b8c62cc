"""How often intervals tuned on the first half of a log hold a replay of the second."""

from __future__ import annotations

import statistics
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from linqi_tune.model.histories import Histories
from linqi_tune.model.session_rule import SessionRule
from linqi_tune.model.sign_ins import SignInModel
from published_traffic import DAY, SITES, traffic
from replayed import Settings, days_in_use, play_log

RULES = (
    SessionRule(lifetime=900, buffer=60),
    SessionRule(lifetime=900, buffer=300),
    SessionRule(lifetime=900, buffer=300, policy="plain"),
    SessionRule(lifetime=900, buffer=300, policy="jitter", jitter_width=0.5),
    SessionRule(lifetime=3_600, buffer=600),
    SessionRule(lifetime=3_600, buffer=1_764),
)


class Case(NamedTuple):
    """One log and one rule: the predicted interval, and the replays of the second half."""

    name: str
    low: float
    value: float
    high: float
    continued: float
    alone: float
    is_resolved: bool


def half(pages: Sequence[array[float]], start: float, end: float) -> list[array[float]]:
    """Return the requests from `start` to `end`, counted from `start`."""
    parts = (array("d", [at - start for at in one if start <= at < end]) for one in pages)
    return [one for one in parts if one]


def cases(site: str, *, days: float, persons: int, seed: int) -> Iterator[Case]:
    """Yield each rule on one log."""
    seconds = days * DAY
    pages = traffic(site, persons=persons, seconds=seconds, seed=seed)
    middle = seconds / 2
    first, second = half(pages, 0, middle), half(pages, middle, seconds)
    model = SignInModel(Histories(pages=first, seconds=middle, persons=len(first)))
    for rule in RULES:
        found = model.figure(rule)
        settings = Settings(
            rule.lifetime, rule.buffer, rule.policy, rule.jitter_width, rule.max_session
        )
        whole = play_log(pages, settings, seed=seed)
        later = sum(at >= middle for _, at in whole.forced)
        alone = play_log(second, settings, seed=seed)
        yield Case(
            name=f"{site} {days:g} d {rule.lifetime:g}/{rule.buffer:g} {rule.policy}",
            low=found.total.low,
            value=found.total.value,
            high=found.total.high,
            continued=later / days_in_use(pages, middle),
            alone=len(alone.forced) / days_in_use(second),
            is_resolved=found.is_resolved,
        )


def report(found: Sequence[Case]) -> str:
    """Return the coverage of both replays, the median width and the refusals."""
    resolved = [case for case in found if case.is_resolved]
    inside = sum(case.low <= case.continued <= case.high for case in resolved)
    alone = sum(case.low <= case.alone <= case.high for case in resolved)
    width = statistics.median(case.high / case.low if case.low else 99 for case in resolved)
    wide = [case for case in found if not case.is_resolved]
    wide_inside = sum(case.low <= case.continued <= case.high for case in wide)
    return (
        f"{len(found)} cases: {inside}/{len(resolved)} hold the second half"
        f" ({alone}/{len(resolved)} replayed alone), median width {width:.2f};"
        f" {len(wide)} logs too short, of which {wide_inside} hold it"
    )


def main() -> None:
    """Print the coverage of all sites, lengths and sizes."""
    found: list[Case] = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        for site in SITES:
            for days, persons in ((2, 1_000), (7, 500), (14, 500)):
                some = [*cases(site, days=days, persons=persons, seed=seed)]
                for case in some:
                    mark = " " if case.low <= case.continued <= case.high else "*"
                    mark += " " if case.low <= case.alone <= case.high else "a"
                    print(
                        f"{mark} {case.name:42} {case.low:.3f} [{case.value:.3f}] {case.high:.3f}"
                        f"  continued {case.continued:.3f}  alone {case.alone:.3f}"
                        f"{'' if case.is_resolved else '  short'}"
                    )
                found += some
    print(report(found))


if __name__ == "__main__":
    main()
