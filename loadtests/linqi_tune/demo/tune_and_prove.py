"""The last part of the demonstration: tune a bad configuration, and prove the change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from linqi.config.writer import update
from linqi_storm.report.summary import summarize
from linqi_storm.run.progress import shown_progress
from linqi_storm.schema.results import StormRun
from linqi_tune.evidence.sources import Sources, collect_evidence
from linqi_tune.model.measurements import Targets
from linqi_tune.model.options import advise
from linqi_tune.model.quantities import given_text, number_text
from linqi_tune.proof.proof import Proof, ProofSide
from linqi_tune.proof.proof_figures import SIGN_INS
from linqi_tune.proof.proof_run import ProofConfig, run_proof, with_training_storm
from linqi_tune.proof.proof_tables import proof_section, show_proof_briefly
from linqi_tune.proof.trial import VoidStorm
from linqi_tune.report.changes import diff_of, real_changes
from linqi_tune.report.page import tuning_page

__all__ = ["run_tuning"]

_BAD: Final = """\
# Written by linqi demo as a bad configuration, and improved as linqi tune would.

[keys]
file = "keys.json"
algorithm = "RS256"

[renewal]
lifetime_seconds = 900
buffer_seconds = 60
policy = "plain"

[cache]
max_entries = 100

[signing]
off_loop = false
"""
_MOST_LIFETIME: Final = 900.0
"""Seconds, as in the bad file: longer lifetimes would need longer storms."""
_CHOSEN: Final = "balanced"


def run_tuning(console: Console, results: Path, plain: StormRun) -> bool:
    """Tune from the storm `plain`, prove and write the settings; return whether they are better.

    The result of `plain` is ``storm-plain.json`` in the folder `results`, where the settings, the
    page and the storms of the proof are written too. The proof must show that the new settings are
    better. The error of the predictions is shown and decides nothing: these storms are short, and
    other processes may use the machine.
    """
    config, storm = results / "linqi.toml", results / "storm-plain.json"
    config.write_text(_BAD, "utf-8")
    console.print(
        f"\na bad {config}, tuned from the plain storm; then storms of the old and new settings:",
        markup=False,
        soft_wrap=True,
    )
    _say(
        console,
        f"linqi tune --prove --storm {storm} --config {config}"
        f" --max-lifetime-seconds {given_text(_MOST_LIFETIME)}",
    )
    sources = Sources(config=config, storm=storm)
    if not plain.generator.is_valid:
        _say(
            console,
            "the plain storm's generator was late, so the bad settings get a new storm first",
        )
        sources = Sources(config=config)
    load = plain.setup.load
    order = ProofConfig(
        folder=results / "proof", sessions=load.sessions, compression=load.compression
    )
    try:
        proof = _proved(console, config, sources, order)
    except VoidStorm as error:
        _say(console, str(error))
        return not error.has_failed
    return _summarized(console, proof)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _proved(console: Console, config: Path, sources: Sources, order: ProofConfig) -> Proof:
    """Tune, prove, and write the settings and the page; return the proof."""

    @contextlib.contextmanager
    def shown(name: str, seconds: float) -> Iterator[Any]:
        _say(console, f"running storm {name}: {seconds:.0f} s")
        with shown_progress(console, seconds) as progress:
            yield progress

    targets = Targets(most_lifetime=_MOST_LIFETIME)
    given = collect_evidence(sources, targets)
    evidence, sources, load, seed = with_training_storm(order, sources, targets, given, shown)
    advice = advise(evidence.measurements)
    proof = run_proof(order, sources, evidence, advice, _CHOSEN, load, seed, shown, console)
    changes = real_changes(config, advice.option(_CHOSEN).changes())
    diff = diff_of(config, changes)
    update(config, changes)
    page = config.parent / "tuning.html"
    page.write_text(tuning_page(advice, evidence, _CHOSEN, [proof_section(proof)]), "utf-8")
    _say(console, f"\n{diff}")
    show_proof_briefly(console, proof)
    _say(console, f"settings: {config}")
    _say(console, f"page, with every reason and curve: {page}")
    for name in ("before-1", "after-1"):
        _say(console, f"report, {name}: {order.folder / name}.html")
    return proof


def _summarized(console: Console, proof: Proof) -> bool:
    before, after = proof.before, proof.after
    lines = [line for side in (before, after) for line in side.figures if line.holds is not None]
    near = sum(line.holds is True for line in lines)
    return summarize(
        console,
        "a bad configuration: before, after",
        [
            (
                "storm factor, at most half as high",
                f"{_of(before, 'storm factor'):.1f}, {_of(after, 'storm factor'):.1f}",
                _of(after, "storm factor") <= _of(before, "storm factor") / 2,
            ),
            (
                "forced sign-ins per 1,000 sessions, fewer: measured (predicted)",
                f"{_both(before, SIGN_INS)}, {_both(after, SIGN_INS)}",
                after.sign_ins < before.sign_ins,
            ),
            (
                "sessions signed out although they sent requests in time",
                f"{before.forced_out}, {after.forced_out}",
                before.forced_out == after.forced_out == 0,
            ),
            (
                "verifications answered by the token cache, more",
                f"{_of(before, 'cache hits'):.0%}, {_of(after, 'cache hits'):.0%}",
                _of(after, "cache hits") > _of(before, "cache hits"),
            ),
            ("figures predicted within their criterion", f"{near} of {len(lines)}", None),
        ],
    )


def _both(side: ProofSide, what: str) -> str:
    """Return the measured value of a figure, and the predicted one in parentheses."""
    figure = side.figure(what)
    values = (figure.measured, figure.predicted)
    measured, predicted = ("unknown" if value is None else number_text(value) for value in values)
    return f"{measured} ({predicted})"


def _of(side: ProofSide, what: str) -> float:
    """Return the measured value of a figure; 0 where it is unknown."""
    return side.figure(what).measured or 0.0
