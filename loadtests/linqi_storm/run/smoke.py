"""A short storm of every kind of session, for continuous integration.

``python -m linqi_storm.run.smoke`` runs sliding sessions during a rolling restart, dual tokens in
tabs, and an outside issuer that fails, one after the other. A broken invariant fails the check. A
late generator does not: machines of continuous integration are shared, and counts of wrong outcomes
are judged in any case. Where both meet, the machine may be the cause: the storm is run again.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Final

from rich.console import Console

from linqi_storm.report.verdict import show_verdict
from linqi_storm.run.progress import shown_progress
from linqi_storm.run.runner import run_storm
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.load import StormLoad

__all__ = ["main"]

_LOAD: Final = StormLoad(sessions=120, lifetime=9, buffer=3, duration=11, gap=1, compression=100)
_STORMS: Final[tuple[tuple[str, StormLoad, dict[str, float]], ...]] = (
    ("deploy", _LOAD, {"at": 6.0}),
    ("tabs", dataclasses.replace(_LOAD, sessions=60, pages=False), {}),
    ("issuer-outage", dataclasses.replace(_LOAD, pages=False), {"at": 2.0, "seconds": 7.0}),
)

_TRIES: Final = 3


def main() -> int:
    """Run the storms; return 0 if no judged invariant broke in any, else 1."""
    console = Console()
    failed = []
    for name, load, options in _STORMS:
        storm = StormConfig(scenario=name, load=load, options=options, alg="ES256")
        if not _passes(console, storm):
            failed.append(name)
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _passes(console: Console, storm: StormConfig) -> bool:
    """Run `storm`, up to three times while its generator is late; return whether all held."""
    for _ in range(_TRIES):
        with shown_progress(console, storm.load.duration) as progress:
            run = run_storm(storm, progress)
        show_verdict(console, run)
        if not run.broken and run.traffic.requests and run.sessions.renewals:
            return True
        if run.generator.is_valid:
            break
    return False


if __name__ == "__main__":
    sys.exit(main())
