"""``linqi tune``: recommends settings from measurements, and writes them to linqi.toml."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.config.writer import update
from linqi.errors import ConfigurationError
from linqi_tune.arguments import add_options, proof_config_of, sources_of, targets_of
from linqi_tune.evidence.sources import Evidence, collect_evidence
from linqi_tune.model.advice import Advice, Option
from linqi_tune.model.log_workload import workload_of_log, workload_remarks
from linqi_tune.model.options import advise
from linqi_tune.proof.proof import Proof
from linqi_tune.proof.proof_run import run_proof, with_training_storm
from linqi_tune.proof.proof_tables import proof_as_json, proof_section, show_proof
from linqi_tune.proof.trial import ShowProgress, VoidStorm
from linqi_tune.report.changes import diff_of, real_changes
from linqi_tune.report.document import as_json
from linqi_tune.report.tables import show_advice

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi tune --log 'access.log*' --log-session user --dry-run",
            "recommend settings for the pauses of real users",
        ),
        Example(
            "linqi tune --bench linqi-bench.json --storm storm.json --yes",
            "use measurements, and write linqi.toml",
        ),
        Example(
            "linqi tune --prometheus http://localhost:9090 --dry-run --check",
            "each week: do the settings in force still fit what the last one says?",
        ),
        Example(
            "linqi tune --prove --app shop:app", "run storms with the old and the new settings"
        ),
    ],
    exits={
        0: "the advice was shown, and written if agreed",
        1: "with --check: targets contradict each other, the proof does not hold, or with --dry-run"
        " the settings in force are surely worse; or a storm broke a rule of safety",
        3: "a storm was void: its generator did not keep up",
    },
)

_VOID = 3
"""The exit code of a void storm, the same as of ``linqi storm``."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code.

    Returns:
        0 on success, 3 if a storm was void, 1 if safety broke in such a storm; with ``--check`` 1
        if targets contradict each other, the proof does not hold, or with ``--dry-run`` the
        settings in force are surely worse than the option.

    Raises:
        LinqiError: A source cannot be read, or a target is out of its range; the exit code is 2.

    """
    try:
        return _tune(arguments)
    except VoidStorm as error:
        print(f"linqi tune: {error}", file=sys.stderr)
        return 1 if error.has_failed else _VOID


def _tune(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    # Output that is no terminal has no width: 80 columns would fold the tables.
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(stderr=arguments.json, width=None if has_width else 160)
    sources, targets = sources_of(arguments), targets_of(arguments)
    config = proof_config_of(arguments)
    _check_folders(arguments)
    with _reading(console) as progress:
        evidence = collect_evidence(sources, targets, progress)
    if config is not None:
        shown = _shown(console)
        evidence, sources, load, seed = with_training_storm(
            config, sources, targets, evidence, shown
        )
    advice = advise(evidence.measurements)
    option = advice.option(arguments.choose)
    if arguments.workload is not None:
        _write_workload(arguments.workload, evidence, console)
    show_advice(console, advice, option.name, evidence.remarks)
    document = as_json(advice, evidence, option.name)
    proof = None
    if config is not None:
        proof = run_proof(
            config, sources, evidence, advice, option.name, load, seed, shown, console
        )
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
    is_off = bool(option.contradictions) or (proof is not None and not proof.holds)
    if arguments.check and arguments.dry_run and advice.is_behind(option, targets.max_sign_ins):
        console.print(
            "the settings in force surely force more sign-ins than they should", markup=False
        )
        is_off = True
    return 1 if arguments.check and is_off else 0


def _check_folders(arguments: argparse.Namespace) -> None:
    """Check before the storms that their results can be written.

    A written file replaces the old one, so its folder must be writable.
    """
    if arguments.workload is not None and not arguments.log:
        raise ConfigurationError(["--workload is written from a log, expected --log beside it"])
    wanted = [path for path in (arguments.html, arguments.workload) if path is not None]
    may_write = not arguments.dry_run and (arguments.yes or _can_ask())
    wanted += [arguments.config] if may_write else []
    folders = [(path, path.resolve().parent) for path in wanted]
    faults = [
        f"{path} cannot be written: {folder}"
        f" {'is not writable' if folder.is_dir() else 'does not exist'}; --dry-run writes nothing"
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


def _write_workload(path: Path, evidence: Evidence, console: Any) -> None:
    """Write what the log requested, and show what of it is left out."""
    from linqi_storm.schema.workload import write_workload

    log = evidence.log
    assert log is not None and log.traffic is not None  # noqa: S101, PT018 - checked at the start
    write_workload(workload_of_log(log.histories, log.traffic), path)
    for line in (f"workload: {path}", *workload_remarks(log.traffic)):
        console.print(line, markup=False, highlight=False)


def _write(arguments: argparse.Namespace, console: Any, changes: dict[str, dict[str, Any]]) -> bool:
    """Show the changes, and write them if the user agrees; return whether they were written."""
    if not changes:
        console.print(
            f"{arguments.config} already has these settings", markup=False, highlight=False
        )
        return False
    console.print(diff_of(arguments.config, changes), markup=False, highlight=False)
    if arguments.dry_run:
        return False
    if not arguments.yes:
        if not _can_ask():
            console.print(
                "nothing was written; use --yes to write without a question", markup=False
            )
            return False
        if input(f"write this to {arguments.config}? [y/N] ").strip().lower() not in ("y", "yes"):
            return False
    update(arguments.config, changes)
    console.print(f"wrote {arguments.config}", markup=False, highlight=False)
    return True


@contextmanager
def _reading(console: Any) -> Iterator[Callable[[int, int], object]]:
    """Show the progress of reading logs."""
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
        console.print(f"running storm {name}: {seconds:.0f} s", markup=False, highlight=False)
        return shown_progress(console, seconds)

    return shown
