"""A test of the tuner on results that continuous integration has just made.

``python -m linqi_tune.smoke linqi-bench.json results`` gives `linqi tune` a result of
`linqi bench`, the first storm in the folder that is not void, and an access log of simulated
sessions. It fails if the tuner does, if a recommendation lacks a reason, and if the predicted
sign-ins differ from those of the same sessions in a simulation of every visit.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from linqi.cli import main as linqi
from linqi_storm.scenarios.traffic import ClicksAndReads
from linqi_storm.schema.result_file import load_run

__all__ = ["main", "simulated_sign_ins", "simulated_visits", "write_access_log"]

_SESSIONS, _SECONDS, _MEAN_GAP = 150, 7_200.0, 40.0
_BEGINS: Final = 1_795_600_000.0
_ARGUMENTS: Final = ("--log-session", "sid", "--dry-run", "--json")
_LIFETIME, _BUFFER = 900, 60
_CONFIG: Final = f"""\
[renewal]
lifetime_seconds = {_LIFETIME}
buffer_seconds = {_BUFFER}
policy = "plain"
"""
_NEAR: Final = 1.3
"""The largest ratio of prediction and simulation: 150 sessions in two hours are a sample."""


def main(arguments: list[str]) -> int:
    """Run the tuner; return 0 if its document is complete and its sign-ins are right."""
    bench, results = map(Path, arguments)
    storm = _valid_storm(results)
    with tempfile.TemporaryDirectory(prefix="linqi-tune-") as name:
        folder = Path(name)
        log, config = folder / "access.log.gz", folder / "linqi.toml"
        sessions = simulated_visits()
        write_access_log(log, sessions)
        config.write_text(_CONFIG, "utf-8")
        given = ["--bench", str(bench), "--log", str(log), "--config", str(config)]
        given += ["--storm", str(storm)] if storm else []
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = linqi(["tune", *given, *_ARGUMENTS, "--html", str(folder / "tune.html")])
        faults = [f"the exit code is {code}"] if code else []
        if not faults:
            document = json.loads(printed.getvalue())
            faults += _faults_of(document, bench, storm)
            faults += _off(document, simulated_sign_ins(sessions))
        if config.read_text("utf-8") != _CONFIG:
            faults.append("a dry run has written")
    for fault in faults:
        print(f"failed: {fault}")
    return 1 if faults else 0


def _valid_storm(results: Path) -> Path | None:
    for path in (results / "storm-plain.json", results / "storm-grid.json"):
        if load_run(path).generator.is_valid:
            return path
    print("the generator of every storm was late, so the tuner gets none")
    return None


def simulated_visits(seed: int = 1) -> list[list[float]]:
    """Return the instants in seconds at which each of some sessions requests a page."""
    rng = random.Random(seed)  # noqa: S311 - a simulation, no secret
    pauses = ClicksAndReads(_MEAN_GAP)
    sessions = []
    for _ in range(_SESSIONS):
        pages, at = [], pauses.draw(rng)
        while at < _SECONDS:
            pages.append(at)
            at += pauses.draw(rng)
        sessions.append(pages)
    return sessions


def write_access_log(path: Path, sessions: Sequence[Sequence[float]]) -> None:
    """Write the visits as nginx logs them, with ``sid=`` at the end of a line."""
    visits = sorted((at, session) for session, pages in enumerate(sessions) for at in pages)
    with gzip.open(path, "wt", encoding="ascii") as file:
        for at, session in visits:
            time = datetime.fromtimestamp(_BEGINS + at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
            file.write(
                f'198.51.100.7 - - [{time}] "GET /me HTTP/1.1" 200 15 "-" "curl" sid={session}\n'
            )


def simulated_sign_ins(sessions: Sequence[Sequence[float]]) -> int:
    """Return the sign-ins that a plain threshold forces, in a simulation of every visit.

    The first visit of a session is a sign-in of its own accord.
    """
    forced = 0
    for pages in sessions:
        expires = float("-inf")
        for at in pages:
            if at >= expires:
                forced += expires > 0
            elif at < expires - _BUFFER:
                continue
            expires = at + _LIFETIME
    return forced


def _faults_of(document: dict[str, Any], bench: Path, storm: Path | None) -> Iterator[str]:
    sources = document["sources"]
    if sources["costs"] != bench.name:
        yield f"the costs are those of {sources['costs']}, expected {bench.name}"
    if sources["visitors"] != "access.log.gz":
        yield f"the visitors are those of {sources['visitors']}, expected the log"
    if sources["servers"] != (storm.name if storm else None):
        yield f"the servers are those of {sources['servers']}, expected {storm}"
    for option in document["options"]:
        keys = {(one["table"], one["key"]): one for one in option["recommendations"]}
        if keys[("renewal", "policy")]["value"] != "grid":
            yield f"{option['name']} does not take the grid"
        for (table, key), one in keys.items():
            if not (one["reason"] and one["inputs"] and one["would_change"]):
                yield f"{option['name']}: {table}.{key} lacks its reason, inputs or changes"


def _off(document: dict[str, Any], played: int) -> Iterator[str]:
    predicted = document["current"]["outcome"]["forced_sign_ins"]["seen"]
    print(f"sign-ins forced at a buffer of {_BUFFER} s: {predicted:.0f} predicted, {played} played")
    if not 1 / _NEAR < predicted / played < _NEAR:
        yield f"{predicted:.0f} sign-ins are predicted to be forced, where {played} are"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
