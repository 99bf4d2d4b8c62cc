"""The verdict of a storm in one line: what held, what did not, and what is void."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linqi_storm.schema.checks import Check, RequirementCheck
from linqi_storm.schema.results import StormRun

__all__ = ["UNEVEN", "headline", "is_comparison", "is_storm", "late_sentence"]

UNEVEN: Final = 1.25
"""A storm factor this many times above the level of chance counts as a storm."""

_MOST_NAMES: Final = 4


def is_comparison(run: StormRun) -> bool:
    """Return whether the run is shown without limits, because nothing was required of it."""
    return run.setup.target.mode == "naive" and not run.requirements


def is_storm(run: StormRun) -> bool:
    """Return whether the storm factor of the first cycle is far above the level of chance."""
    return bool(run.peaks) and run.peaks[0].factor > UNEVEN * run.peaks[0].noise95


def headline(run: StormRun) -> str:
    """Return the verdict with what it rests on, such as ``PASS: 14 invariants held``."""
    if run.verdict == "VOID":
        return f"VOID: the load generator was late; {_counted(run.judged)} {_hold(run)}"
    if is_comparison(run):
        return "FOR COMPARISON ONLY: no limits apply"
    if run.broken:
        total = _counted(run.judged, run.broken)
        void = "" if run.generator.is_valid else "; rates and latencies are void"
        return f"FAIL: {total} did not hold: {_names(run.broken)}{void}"
    late = len(run.generator.late_seconds)
    left_out = f"; latencies without {late} late second{'s' * (late > 1)}" if late else ""
    return f"PASS: {_counted(run.judged)} held{left_out}{_unlimited_storm(run)}"


def _unlimited_storm(run: StormRun) -> str:
    """Return that there was a storm, if neither an invariant nor a requirement limits it."""
    names = [check.name.replace("_", " ") for check in run.judged]
    if not is_storm(run) or any(name.startswith("storm factor") for name in names):
        return ""
    return f"; the storm factor of {run.peaks[0].factor:.1f} has no limit"


def _hold(run: StormRun) -> str:
    void = len(_limited(run)) - len(run.judged)
    return f"held, {void} cannot be judged" if void else "held, no rate or latency is judged"


def late_sentence(run: StormRun) -> str:
    """Return which figures of a void run are valid, and which are not."""
    void = [check.name for check in _limited(run) if not run.is_judged(check)]
    listed = f" ({'; '.join(void)})" if void else ""
    return (
        "The load generator did not keep up with its plan. Counts of wrong outcomes (identity,"
        " acceptance, sign-outs, errors) are valid; latencies, rates, the storm factor and what"
        f" depends on them are not{listed}."
    )


def _limited(run: StormRun) -> Sequence[Check | RequirementCheck]:
    return [check for check in run.every_check if check.expected]


def _counted(
    checks: Sequence[Check | RequirementCheck],
    chosen: Sequence[Check | RequirementCheck] | None = None,
) -> str:
    """Return the numbers of invariants and requirements, or of those chosen among them."""
    parts: list[str] = []
    for kind, word in ((Check, "invariant"), (RequirementCheck, "requirement")):
        total = sum(isinstance(check, kind) for check in checks)
        some = total if chosen is None else sum(isinstance(check, kind) for check in chosen)
        if some or (kind is Check and not parts and chosen is None):
            of = "" if chosen is None else f"{some} of "
            parts.append(f"{of}{total} {word}{'' if total == 1 else 's'}")
    return " and ".join(parts)


def _names(checks: Sequence[Check | RequirementCheck]) -> str:
    names = [f"{check.name} ({check.measured})" for check in checks[:_MOST_NAMES]]
    more = len(checks) - _MOST_NAMES
    return "; ".join(names) + (f"; and {more} more" if more > 0 else "")
