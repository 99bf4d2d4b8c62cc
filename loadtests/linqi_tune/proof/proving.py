"""The loop as one call: measure where nothing was, advise, and prove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from linqi.errors import ConfigurationError
from linqi_tune.evidence.gathering import Gathered, Sources, current_of, gather
from linqi_tune.model.advice import Advice
from linqi_tune.model.facts import Targets
from linqi_tune.model.plans import Predictor
from linqi_tune.proof.proof import Proof, prove
from linqi_tune.proof.trial import Load, Shown, Trial, fresh_seeds, load_of_storm, load_of_visitors

__all__ = ["ProofOrder", "measured", "proved"]

_TRAINING: Final = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOrder:
    """How the proof is to be run; None where the storm or the people decide."""

    folder: Path
    sessions: int | None = None
    compression: float | None = None
    app: str | None = None
    path: str | None = None
    repeats: int = 1
    seed: int | None = None
    """The first one; drawn afresh where None."""

    def changes(self) -> dict[str, Any]:
        """Give what is said about the load."""
        return {
            "sessions": self.sessions,
            "compression": self.compression,
            "app": self.app,
            "path": self.path,
        }


def measured(
    order: ProofOrder, sources: Sources, targets: Targets, gathered: Gathered, shown: Shown
) -> tuple[Gathered, Sources, Load, int]:
    """Give facts that have a storm in them, the load it had, and its seed.

    Where `sources` name none, the settings in force are stormed first.
    """
    from linqi_storm.schema.result_file import load_run

    order.folder.mkdir(parents=True, exist_ok=True)
    if sources.storm is not None:
        run = load_run(sources.storm)
        changes = order.changes() | {"workers": targets.workers}
        if gathered.facts.visitors is not None and sources.logs:
            lifetime = gathered.facts.current.lifetime
            load = load_of_visitors(gathered.facts.visitors, order.folder, lifetime, **changes)
        else:
            load = load_of_storm(run, **changes)
        if run.setup.target.mode != _mode_of(gathered):
            raise ConfigurationError(
                [f"{sources.storm} is of {run.setup.target.mode} sessions, and those of"
                 f" {gathered.config.source if gathered.config else 'linqi.toml'} are"
                 f" {_mode_of(gathered)}; leave --storm out, and one is run"]
            )  # fmt: skip
        load = replace(load, mode=_mode_of(gathered))
        return gathered, sources, load, run.setup.load.seed
    load = load_of_visitors(
        gathered.facts.visitors, order.folder, gathered.facts.current.lifetime,
        **order.changes(), workers=targets.workers, mode=_mode_of(gathered),
    )  # fmt: skip
    current = gathered.facts.current
    if gathered.config is not None:
        current = current_of(gathered.config)
    plan = Predictor(replace(gathered.facts, current=current)).current()
    trial = _trial(load, sources, gathered, order.folder, shown)
    (seed,) = fresh_seeds(1, ()) if order.seed is None else (order.seed,)
    trial.run(_TRAINING, plan, seed, trial.duration([plan]))
    sources = replace(sources, storm=order.folder / f"{_TRAINING}.json")
    return gather(sources, targets), sources, load, seed


def _mode_of(gathered: Gathered) -> Literal["sliding", "dual"]:
    return "sliding" if gathered.facts.current.slides else "dual"


def proved(
    order: ProofOrder,
    sources: Sources,
    gathered: Gathered,
    advice: Advice,
    chosen: str,
    load: Load,
    tuned_on: int,
    shown: Shown,
    console: Any,
) -> Proof:
    """Give the proof of the chosen option."""
    if gathered.facts.visitors is None:
        raise ConfigurationError(["nothing is known of how people come, so nothing can be proved"])
    real = Predictor(gathered.facts).sessions
    load = replace(load, people=load.sessions * load.compression / real)
    seeds: list[int] = []
    if order.seed is not None:
        seeds = [order.seed + number for number in range(1, order.repeats + 1)]
    return prove(
        _trial(load, sources, gathered, order.folder, shown),
        gathered.facts,
        advice.plan,
        advice.option(chosen).plan,
        tuned_on=(tuned_on,),
        repeats=order.repeats,
        seeds=seeds,
        changes=advice.option(chosen).changes(),
        say=lambda text: console.print(text, markup=False, highlight=False),
    )


def _trial(load: Load, sources: Sources, gathered: Gathered, folder: Path, shown: Shown) -> Trial:
    from linqi_storm.run.runner import run_storm

    text = sources.config.read_text("utf-8") if sources.config is not None else ""
    return Trial(load, gathered.config, text, folder, shown, run_storm)
