"""``python -m mutants``, called by ``make mutants``: options, and the table."""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mutants.catalogue import MUTANTS
from mutants.registry import Mutant
from mutants.runner import Outcome, as_json, run_one
from mutants.storms import CONTROLS, Storm

SLICE: Final = (
    "successors-name-one-user",
    "expired-tokens-good-for-a-third-of-a-second",
    "reuse-is-not-detected",
    "feed-of-revocations-is-dead",
)
"""Mutants of four kinds, for continuous integration."""
_MOST_SURVIVORS: Final = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 0 if all is as the list says."""
    options = _options().parse_args(arguments)
    if options.list:
        for mutant in MUTANTS.values():
            print(f"{mutant.name:52} {mutant.storm[0]:16} {mutant.killed_by}\n    {mutant.says}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the storm ends too
    outcomes: list[Outcome] = []
    for name, storm, chosen in _runs(options):
        outcome = run_one(name, storm, chosen, tries=options.tries)
        outcomes.append(outcome)
        _show(outcome)
        options.json.write_bytes(as_json(outcomes))
    return _summary(outcomes)


def _summary(outcomes: Sequence[Outcome]) -> int:
    """Print the counts and what is not as expected; return the exit code."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    minutes = sum(outcome.seconds for outcome in outcomes) / 60
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    print(
        f"\n{len(outcomes)} runs in {minutes:.1f} min: {counts['killed']} killed,"
        f" {counts['survives']} known to survive, {counts['passed']} controls passed,"
        f" {len(bad)} not as expected"
    )
    for outcome in bad:
        print(f"  {outcome.name}: {outcome.why}")
    return 1 if bad or counts["survives"] > _MOST_SURVIVORS else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutants MUTANTS_ARGS=...", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="NAME", help="may be given several times")
    add("--slice", action="store_true", help="four mutants of different kinds, no control")
    add(
        "--controls",
        type=int,
        metavar="N",
        help="runs without a mutant; default 20, 0 with --only or --slice",
    )
    add("--tries", type=int, default=3, metavar="N", help="for runs that are void; default 3")
    add("--json", type=Path, default=Path("mutants.json"), help="file for the outcomes")
    add("--list", action="store_true", help="list the mutants")
    return parser


def _runs(options: argparse.Namespace) -> Iterator[tuple[str, Storm, Mutant | None]]:
    """Yield the name, the storm and the mutant of each run; None is a control."""
    names = [*SLICE] if options.slice else options.only or [*MUTANTS]
    if unknown := [name for name in names if name not in MUTANTS]:
        raise SystemExit(f"there is no mutant {', '.join(unknown)}; --list names all")
    controls = options.controls
    if controls is None:
        # Continuous integration runs storms without a mutant before (`linqi_storm.run.smoke`), and
        # its machine may be too busy for a control, which must not be void.
        controls = 0 if options.slice or options.only else 20
    for name in names:
        yield name, MUTANTS[name].storm, MUTANTS[name]
    for number, storm in enumerate(itertools.islice(itertools.cycle(CONTROLS), controls), 1):
        yield f"control {number}", storm, None


def _show(outcome: Outcome) -> None:
    others = [name for name in outcome.failed if name != outcome.why]
    more = f" (also: {', '.join(others)})" if outcome.verdict == "killed" and others else ""
    void = " void" if outcome.is_void else ""
    print(
        f"{outcome.name:50} {outcome.storm:16} {outcome.verdict:10}"
        f" {outcome.seconds:5.1f} s{void} {outcome.why}{more}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
