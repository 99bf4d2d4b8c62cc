"""``linqi tune``: from what was measured to settings, written to linqi.toml."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from linqi.config.writer import update
from linqi.errors import ConfigurationError
from linqi_tune.evidence.sources import Evidence, Sources, collect_evidence
from linqi_tune.model.advice import Advice, Option
from linqi_tune.model.measurements import Targets
from linqi_tune.model.options import advise
from linqi_tune.proof.proof import Proof
from linqi_tune.proof.proof_run import ProofConfig, run_proof, with_training_storm
from linqi_tune.proof.proof_tables import proof_as_json, proof_section, show_proof
from linqi_tune.proof.trial import ShowProgress, VoidStorm
from linqi_tune.report.changes import diff_of, real_changes
from linqi_tune.report.document import as_json
from linqi_tune.report.tables import show

__all__ = ["add_options", "run"]

_DEFAULTS = Targets()
_VOID = 3
"""As ``linqi storm`` ends."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    given = parser.add_argument_group("what was measured (any of them)")
    given.add_argument("--bench", type=Path, metavar="FILE", help="a result of linqi bench")
    given.add_argument("--storm", type=Path, metavar="FILE", help="a result of linqi storm")
    given.add_argument("--log", type=Path, action="append", default=[], metavar="FILE",
                       help="an access log, .gz too; several, oldest first")  # fmt: skip
    given.add_argument("--log-format", choices=("combined", "json"), default="combined")
    given.add_argument("--log-session", default="", metavar="FIELD",
                       help="what tells sessions apart: user, host, a number or name after the"
                       " user agent; for json a member")  # fmt: skip
    given.add_argument("--log-time", default="", metavar="FIELD", help="for json: the member")
    given.add_argument("--quiet-path", action="append", default=[], metavar="PATH",
                       help="what pages ask by themselves, such as /polls or /events/*; several,"
                       " beside those of [paths] quiet")  # fmt: skip
    given.add_argument("--metrics", type=Path, metavar="FILE",
                       help="the middleware's metrics in Prometheus' text format")  # fmt: skip
    _add_targets(parser.add_argument_group("what is wanted"))
    output = parser.add_argument_group("what is done with it")
    output.add_argument("--config", type=Path, metavar="FILE", default=Path("linqi.toml"),
                        help="what is read and written (default: linqi.toml)")  # fmt: skip
    output.add_argument("--choose", choices=("safer", "balanced", "leaner"), default="balanced")
    output.add_argument("--dry-run", action="store_true", help="write nothing")
    output.add_argument("--yes", action="store_true", help="write without asking")
    output.add_argument("--json", action="store_true", help="the advice on standard output")
    output.add_argument("--html", type=Path, metavar="FILE", help="the page with the curves")
    _add_proof(parser.add_argument_group("the proof, by storms before and after the change"))
    output.add_argument("--check", action="store_true", help="fail where targets contradict")


def _add_proof(proof: Any) -> None:
    proof.add_argument("--prove", action="store_true",
                       help="storm the old and the new settings; the ones in force first, where"
                       " --storm is not given")  # fmt: skip
    proof.add_argument("--app", metavar="MODULE:APP", help="your own application")
    proof.add_argument("--path", help="the page to ask for")
    proof.add_argument("--prove-sessions", type=int, help="in the storm")
    proof.add_argument("--compress", type=float, metavar="K", help="divide real times by K")
    proof.add_argument("--repeat", type=int, default=1, metavar="N", help="storms of each side")
    proof.add_argument("--seed", type=int, help="the first seed, to do a proof again")
    proof.add_argument("--prove-folder", type=Path, default=Path("linqi-proof"), metavar="FOLDER",
                       help="for the results and reports (default: %(default)s)")  # fmt: skip


def _add_targets(wanted: Any) -> None:
    wanted.add_argument("--sessions", type=int, help="active at once, at the busiest")
    wanted.add_argument("--peak-rps", type=float, help="requests in the busiest second")
    wanted.add_argument("--workers", type=int, help="server processes; advised where not given")
    wanted.add_argument("--memory-mb", type=float, help="for cached tokens in each worker")
    wanted.add_argument("--max-lost", type=float, default=_DEFAULTS.max_lost, metavar="SHARE",
                        help="of renewals that may be lost (default: %(default)g)")  # fmt: skip
    wanted.add_argument("--cpu-share", type=float, default=_DEFAULTS.cpu_share, metavar="SHARE",
                        help="how busy a worker may be (default: %(default)g)")  # fmt: skip
    wanted.add_argument("--revocation-seconds", type=float,
                        help="until a revoked session is refused")  # fmt: skip
    wanted.add_argument("--session-cap-seconds", type=float, help="the longest session")
    wanted.add_argument("--max-lifetime-seconds", type=float, default=_DEFAULTS.most_lifetime,
                        help="of an access token: so long a stolen one is good"
                        " (default: %(default)g)")  # fmt: skip
    wanted.add_argument("--timeout-seconds", type=float, default=_DEFAULTS.timeout,
                        help="after which clients give up (default: %(default)g)")  # fmt: skip
    wanted.add_argument("--outage-seconds", type=float, default=_DEFAULTS.outage,
                        help="an outage that must lose nobody (default: %(default)g)")  # fmt: skip
    wanted.add_argument("--key-overlap-seconds", type=float,
                        help="how long outside issuers publish a key before it signs")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Tune; 0 when done, 2 for a wrong call, 3 when a storm was void.

    With ``--check`` 1 when targets contradict or the proof does not hold.
    """
    try:
        return _tune(arguments)
    except VoidStorm as error:
        print(f"linqi tune: {error}", file=sys.stderr)
        return _VOID


def _tune(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    # What is no tty has no width of its own: 80 columns would fold the tables.
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(stderr=arguments.json, width=None if has_width else 160)
    sources, targets, order = _sources(arguments), _targets(arguments), _order(arguments)
    _check_folders(arguments)
    with _reading(console) as progress:
        evidence = collect_evidence(sources, targets, progress)
    if order is not None:
        shown = _shown(console)
        evidence, sources, load, seed = with_training_storm(
            order, sources, targets, evidence, shown
        )
    advice = advise(evidence.measurements)
    option = advice.option(arguments.choose)
    show(console, advice, option.name, evidence.remarks)
    document = as_json(advice, evidence, option.name)
    proof = None
    if order is not None:
        proof = run_proof(order, sources, evidence, advice, option.name, load, seed, shown, console)
        show_proof(console, proof)
        document["proof"] = proof_as_json(proof)
    changes = real_changes(arguments.config, option.changes())
    document["written"] = _write(arguments, console, changes)
    document["changes"] = changes
    if arguments.html is not None:
        _write_page(arguments.html, advice, evidence, option, proof)
        console.print(f"page: {arguments.html}", markup=False, highlight=False)
    if arguments.json:
        print(json.dumps(document, indent=1))
    is_off = bool(advice.contradictions) or (proof is not None and not proof.holds)
    return 1 if arguments.check and is_off else 0


def _check_folders(arguments: argparse.Namespace) -> None:
    """Find out before minutes of storms whether their end can be written.

    What is written replaces its file whole, so it is the folder that must take it.
    """
    wanted = [arguments.html] if arguments.html is not None else []
    may_write = not arguments.dry_run and (arguments.yes or _can_ask())
    wanted += [arguments.config] if may_write else []
    folders = [(path, path.resolve().parent) for path in wanted]
    faults = [
        f"{path} cannot be written: {folder}"
        f" {'takes no new file' if folder.is_dir() else 'does not exist'}; --dry-run shows only"
        for path, folder in folders
        if not os.access(folder, os.W_OK)
    ]
    if faults:
        raise ConfigurationError(faults)


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _write_page(
    path: Path, advice: Advice, evidence: Evidence, option: Option, proof: Proof | None
) -> None:
    from linqi_tune.report.page import tuning_page

    more = [] if proof is None else [proof_section(proof)]
    path.write_text(tuning_page(advice, evidence, option.name, more), "utf-8")


def _write(arguments: argparse.Namespace, console: Any, changes: dict[str, dict[str, Any]]) -> bool:
    """Show what would change, and write it where that is wanted."""
    if not changes:
        console.print(f"{arguments.config} says all of it already", markup=False, highlight=False)
        return False
    console.print(diff_of(arguments.config, changes), markup=False, highlight=False)
    if arguments.dry_run:
        return False
    if not arguments.yes:
        if not _can_ask():
            console.print("nothing was written: --yes writes without asking", markup=False)
            return False
        if input(f"write this to {arguments.config}? [y/N] ").strip().lower() not in ("y", "yes"):
            return False
    update(arguments.config, changes)
    console.print(f"wrote {arguments.config}", markup=False, highlight=False)
    return True


@contextmanager
def _reading(console: Any) -> Iterator[Callable[[int, int], object]]:
    """Show how much of the logs was read."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading logs"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield progress


def _shown(console: Any) -> ShowProgress:
    from linqi_storm.run.progress import shown_progress

    def shown(name: str, seconds: float) -> AbstractContextManager[Any]:
        console.print(f"storming, {name}: {seconds:.0f} s", markup=False, highlight=False)
        return shown_progress(console, seconds)

    return shown


def _order(arguments: argparse.Namespace) -> ProofConfig | None:
    if not arguments.prove:
        return None
    return ProofConfig(
        folder=arguments.prove_folder,
        sessions=arguments.prove_sessions,
        compression=arguments.compress,
        app=arguments.app,
        path=arguments.path,
        repeats=max(1, arguments.repeat),
        seed=arguments.seed,
    )


def _sources(arguments: argparse.Namespace) -> Sources:
    return Sources(
        config=arguments.config if arguments.config.exists() else None,
        bench=arguments.bench,
        storm=arguments.storm,
        logs=arguments.log,
        log_format=arguments.log_format,
        log_session=arguments.log_session,
        log_time=arguments.log_time,
        quiet_paths=arguments.quiet_path,
        metrics=arguments.metrics,
    )


def _targets(arguments: argparse.Namespace) -> Targets:
    return Targets(
        sessions=arguments.sessions,
        peak_rps=arguments.peak_rps,
        workers=arguments.workers,
        memory_mb=arguments.memory_mb,
        max_lost=arguments.max_lost,
        cpu_share=arguments.cpu_share,
        revocation=arguments.revocation_seconds,
        session_cap=arguments.session_cap_seconds,
        most_lifetime=arguments.max_lifetime_seconds,
        timeout=arguments.timeout_seconds,
        outage=arguments.outage_seconds,
        published_ahead=arguments.key_overlap_seconds,
    )
