"""What is required of a run beside its invariants: limits on figures, and a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from linqi import config
from linqi_storm.report.comparison import check_baseline, no_worse_than
from linqi_storm.run.assembly import request_load
from linqi_storm.run.invariants import every_invariant
from linqi_storm.scenarios import Scenario
from linqi_storm.schema.figures import figures_with
from linqi_storm.schema.requirements import Requirement, parse_requirements
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.results import StormRun

__all__ = ["Required", "read_required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """The requirements on a run."""

    limits: tuple[Requirement, ...] = ()
    baseline: StormRun | None = None
    """An earlier run, than which no figure may be worse."""

    def check(self, scenario: Scenario) -> None:
        """Refuse a baseline that a run of `scenario` cannot be compared with.

        Raises:
            ConfigurationError: If it is void, or its scenario or load was another one.

        """
        if self.baseline is not None:
            check_baseline(self.baseline, scenario.name, request_load(scenario))

    def judge(self, run: StormRun) -> StormRun:
        """Return `run` with the outcome of the requirements; without any, as it was."""
        if not self.limits and self.baseline is None:
            return run
        judged = [limit.judged(run) for limit in self.limits]
        if self.baseline is not None:
            check_baseline(self.baseline, run.setup.scenario, run.setup.load)
            judged += no_worse_than(self.baseline, run)
        return replace(run, requirements=tuple(judged))


def read_required(
    texts: Sequence[str], *, file: Path | None = None, baseline: Path | None = None
) -> Required:
    """Return the requirements in `texts` and in ``[storm] require`` of the linqi.toml `file`.

    Raises:
        ConfigurationError: If one is malformed or names no figure, or a file cannot be read.

    """
    written = () if file is None else config.load(file).storm.require
    return Required(
        limits=parse_requirements(
            dict.fromkeys([*written, *texts]), figures_with(every_invariant())
        ),
        baseline=None if baseline is None else load_run(baseline),
    )
