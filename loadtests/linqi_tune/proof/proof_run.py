"""A whole proof in one call: measure the settings in force if needed, advise, and prove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from linqi.errors import ConfigurationError
from linqi_tune.evidence.sources import Evidence, Sources, collect_evidence, current_settings
from linqi_tune.model.advice import Advice
from linqi_tune.model.measurements import Targets
from linqi_tune.model.predictor import Predictor
from linqi_tune.proof.proof import Proof, prove
from linqi_tune.proof.trial import (
    ShowProgress,
    Trial,
    TrialLoad,
    fresh_seeds,
    load_of_storm,
    load_of_visitors,
)

__all__ = ["ProofConfig", "run_proof", "with_training_storm"]

_TRAINING: Final = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofConfig:
    """How a proof is run; None where the storm or the measured traffic decides.

    Attributes:
        folder: Where results, reports and configurations are written.
        sessions: Sessions in each storm.
        compression: The number by which real times are divided.
        app: The application to protect, as ``module:attribute``.
        path: The page that sessions ask for.
        repeats: Storms of each side.
        seed: The first seed; drawn where None.

    """

    folder: Path
    sessions: int | None = None
    compression: float | None = None
    app: str | None = None
    path: str | None = None
    repeats: int = 1
    seed: int | None = None

    def changes(self) -> dict[str, Any]:
        """Return what this says of the load, as fields of `TrialLoad`."""
        return {
            "sessions": self.sessions,
            "compression": self.compression,
            "app": self.app,
            "path": self.path,
        }


def with_training_storm(
    config: ProofConfig,
    sources: Sources,
    targets: Targets,
    evidence: Evidence,
    shown: ShowProgress,
) -> tuple[Evidence, Sources, TrialLoad, int]:
    """Return evidence that has a storm in it, its sources, the storm's load and its seed.

    Where `sources` name no storm, one of the settings in force is run first.

    Raises:
        ConfigurationError: The storm is of sliding sessions and the settings are of dual tokens,
            or the other way round.
        VoidStorm: The generator did not keep up.

    """
    config.folder.mkdir(parents=True, exist_ok=True)
    if sources.storm is not None:
        load, seed = _load_of(sources.storm, config, sources, targets, evidence)
        return evidence, sources, load, seed
    load = _load_of_traffic(config, targets, evidence)
    current = evidence.measurements.current
    if evidence.config is not None:
        current = current_settings(evidence.config)
    plan = Predictor(replace(evidence.measurements, current=current)).current_plan()
    trial = _trial(load, sources, evidence, config.folder, shown)
    (seed,) = fresh_seeds(1, ()) if config.seed is None else (config.seed,)
    trial.run(_TRAINING, plan, seed, trial.duration([plan]))
    sources = replace(sources, storm=config.folder / f"{_TRAINING}.json")
    return collect_evidence(sources, targets), sources, load, seed


def _load_of(
    storm: Path, config: ProofConfig, sources: Sources, targets: Targets, evidence: Evidence
) -> tuple[TrialLoad, int]:
    """Return the load and the seed of a storm that was run before; a log's traffic comes first."""
    from linqi_storm.schema.result_file import load_run

    run = load_run(storm)
    mode = _mode_of(evidence)
    if run.setup.target.mode != mode:
        settings = evidence.config.source if evidence.config else "linqi.toml"
        raise ConfigurationError(
            [
                f"{storm} is a storm of {run.setup.target.mode} sessions, but the sessions of"
                f" {settings} are {mode}; leave --storm out to run one of these"
            ]
        )
    if evidence.measurements.visitors is not None and sources.logs:
        load = _load_of_traffic(config, targets, evidence)
    else:
        load = load_of_storm(run, **config.changes(), workers=targets.workers)
    return replace(load, mode=mode), run.setup.load.seed


def _load_of_traffic(config: ProofConfig, targets: Targets, evidence: Evidence) -> TrialLoad:
    return load_of_visitors(
        evidence.measurements.visitors,
        config.folder,
        evidence.measurements.current.lifetime,
        **config.changes(),
        workers=targets.workers,
        mode=_mode_of(evidence),
    )


def _mode_of(evidence: Evidence) -> Literal["sliding", "dual"]:
    return "sliding" if evidence.measurements.current.slides else "dual"


def run_proof(
    config: ProofConfig,
    sources: Sources,
    evidence: Evidence,
    advice: Advice,
    chosen: str,
    load: TrialLoad,
    tuned_on: int,
    shown: ShowProgress,
    console: Any,
) -> Proof:
    """Return the proof of the chosen option.

    Raises:
        ConfigurationError: No pauses between requests were measured.
        VoidStorm: The generator did not keep up.

    """
    if evidence.measurements.visitors is None:
        raise ConfigurationError(
            ["no pauses between requests were measured, so nothing can be proved"]
        )
    real = Predictor(evidence.measurements).sessions
    load = replace(load, scale=load.sessions * load.compression / real)
    seeds: list[int] = []
    if config.seed is not None:
        seeds = [config.seed + number for number in range(1, config.repeats + 1)]
    return prove(
        _trial(load, sources, evidence, config.folder, shown),
        evidence.measurements,
        advice.plan,
        advice.option(chosen).plan,
        tuned_on=(tuned_on,),
        repeats=config.repeats,
        seeds=seeds,
        changes=advice.option(chosen).changes(),
        say=lambda text: console.print(text, markup=False, highlight=False),
    )


def _trial(
    load: TrialLoad, sources: Sources, evidence: Evidence, folder: Path, shown: ShowProgress
) -> Trial:
    from linqi_storm.run.runner import run_storm

    text = sources.config.read_text("utf-8") if sources.config is not None else ""
    return Trial(load, evidence.config, text, folder, shown, run_storm)
