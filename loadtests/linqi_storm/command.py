"""``linqi storm``: its options, and what it does with them."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from linqi import ConfigurationError
from linqi.commands.command_help import CommandHelp, Example

if TYPE_CHECKING:
    from rich.console import Console

    from linqi_storm.run.pacing import PacedStorm
    from linqi_storm.schema.config import StormConfig
    from linqi_storm.schema.results import StormRun

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi storm --list", "show the scenarios"),
        Example(
            "linqi storm storm-sliding --policy plain",
            "all tokens expire together, under a plain threshold",
        ),
        Example(
            "linqi storm --app shop:app --config linqi.toml --require 'p99_in_ms <= 200'",
            "your own application with its settings, and a limit",
        ),
        Example(
            "linqi storm report storm.json --against before.json",
            "show an earlier result beside another",
        ),
    ],
    exits={
        0: "every invariant and requirement held",
        1: "an invariant or a requirement was broken, or a server died",
        3: "the run is void: its generator did not keep up",
    },
)

_GENERATOR: Final = ("gevent", "hdrh", "locust", "psutil", "starlette", "uvicorn")
"""Libraries that the processes of a storm import: checked first, for a clear message."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi storm``."""
    scenario = "a name of --list, or module:Class; report: show an earlier result again"
    parser.add_argument("scenario", nargs="?", default="storm-sliding", help=scenario)
    parser.add_argument("result", nargs="?", type=Path, help="result file, after report")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    figures = "list the figures that --require can limit"
    parser.add_argument("--figures", action="store_true", help=figures)
    _add_target(parser.add_argument_group("service under test (default: an embedded application)"))
    _add_load(parser.add_argument_group("load (defaults: those of the scenario)"))
    _add_required(parser.add_argument_group("requirements, in the exit code"))
    _add_output(parser.add_argument_group("result"))


def _add_target(target: argparse._ArgumentGroup) -> None:
    add = target.add_argument
    add("--app", default="", help="module:app, your own ASGI application")
    add("--config", type=Path, help="the linqi.toml of --app; its [storm] require holds for any")
    add("--url", default="", help="a running deployment")
    add("--i-own-this-host", action="store_true", help="allow a --url beyond this machine")
    path = "path of the page that clients request; default /me, or those of --workload"
    add("--path", default="", help=path)
    add("--key", type=Path, help="JWKS file with the signing key of --url")
    add("--issuer", default="", help="iss of the tokens for --url")
    add("--audience", default="", help="aud of the tokens for --url")
    scope = "scope of the tokens that the storm signs; repeat for several"
    add("--scope", action="append", default=[], help=scope)
    add("--login", default="", help='instead of --key: {"url": ..., "body": {...}, ...}')
    add("--workers", type=int, default=2, help="server processes, 1 to 64; default 2")
    store = "default: sqlite, or valkey where the scenario needs a network"
    add("--store", choices=("sqlite", "valkey", "postgresql"), help=store)
    command = "lets a replica of your own store take over, for failover"
    add("--failover-command", default="", metavar="COMMAND", help=command)
    policy = "grid, plain or 'jitter .25'; default: that of --config, else grid"
    add("--policy", default="", help=policy)
    add("--alg", default="RS256", help="signature algorithm; default RS256")
    add("--bits", type=int, default=2048, help="modulus of an RSA key; default 2048")
    budget = "limit of renewals per second, all workers together"
    add("--budget-per-second", type=float, help=budget)


def _add_load(load: argparse._ArgumentGroup) -> None:
    add = load.add_argument
    add("--sessions", type=int, help="number of sessions")
    add("--seconds", type=float, help="duration of the load, not compressed")
    stage = "ramp to so many active sessions in so long, not compressed; repeat: 2m:500 5m:500"
    add("--stage", action="append", default=[], metavar="DURATION:SESSIONS", help=stage)
    add("--lifetime-seconds", type=float, help="of access tokens, before compression")
    add("--buffer-seconds", type=float, help="renewal buffer, before compression")
    add(
        "--gap-seconds",
        type=float,
        help="mean pause between pages, before compression; for measured pauses, to rescale them",
    )
    gaps = "distribution of the pauses: exponential, reading, measured:FILE, or log:FILE for"
    gaps += " the pages, pauses and visits of an access log"
    add("--gaps", metavar="LAW", help=gaps)
    workload = "pages, pauses and visits of users as a file, such as linqi tune writes it"
    add("--workload", type=Path, metavar="FILE.json", help=workload)
    spread = "time within which all sessions sign in, before compression"
    add("--login-spread-seconds", type=float, help=spread)
    add("--compress", type=float, metavar="K", help="divide lifetime, buffer and pauses by K")
    add("--seed", type=int, help="of all random draws")
    setting = "a setting of the scenario, see --list"
    add("--set", action="append", default=[], metavar="NAME=NUMBER", help=setting)
    processes = "load generator processes, 1 to 64; default: as many as the load needs"
    add("--processes", type=int, help=processes)


def _add_required(required: argparse._ArgumentGroup) -> None:
    add = required.add_argument
    limit = "limits on figures, after the scenario: 'storm_factor <= 1.5' 'p99_in_ms <= 200'"
    add("--require", nargs="+", action="extend", default=[], metavar="LIMIT", help=limit)
    worse = "an earlier result: no figure may be worse than there, beyond noise"
    add("--baseline", type=Path, metavar="FILE.json", help=worse)


def _add_output(output: argparse._ArgumentGroup) -> None:
    add = output.add_argument
    add("--output", type=Path, default=Path("storm.json"), help="result as JSON")
    report = "HTML report; default: beside the JSON"
    add("-o", "--report", type=Path, metavar="FILE.html", help=report)
    against = "an earlier result to compare with in the report"
    add("--against", type=Path, metavar="OTHER.json", help=against)
    add("--junit", type=Path, help="invariants and requirements as JUnit XML")
    tag = "a name for this run, in the JSON, the JUnit XML and the report; repeat for several"
    add("--tag", action="append", default=[], metavar="NAME=VALUE", help=tag)
    summary = "verdict and comparison as Markdown, for a pull request"
    add("--markdown", type=Path, metavar="FILE.md", help=summary)
    add("--csv", type=Path, metavar="FILE.csv", help="the seconds of the run, a line each")
    add("--json", action="store_true", help="print the result on standard output")


def run(options: argparse.Namespace) -> int:
    """Run a storm, or show an earlier result after ``report``.

    Returns:
        The exit code: 0 if every invariant and requirement held, 1 if not, 3 if the run is void.

    Raises:
        ConfigurationError: If the options are invalid or contradict each other.

    """
    from rich.console import Console

    from linqi_report.output_files import check_writable
    from linqi_report.processes import ServerDiedError
    from linqi_storm.run.progress import shown_progress
    from linqi_storm.run.required import read_required
    from linqi_storm.run.runner import StormError, run_storm
    from linqi_storm.run.storm_options import config_of
    from linqi_storm.run.worker_pool import check_shared_port
    from linqi_storm.scenarios import find_scenario
    from linqi_storm.schema.result_file import load_run, save_run

    console = Console(stderr=options.json)
    if options.list or options.figures:
        (_list if options.list else _list_figures)(console)
        return 0
    against = _earlier(options.against or options.baseline)
    required = read_required(options.require, file=options.config, baseline=options.baseline)
    if options.scenario == "report":
        if options.result is None:
            raise ConfigurationError(["report needs a result file: linqi storm report FILE"])
        result = required.judge(load_run(options.result))
        return _show(console, options, result, options.result, against)
    if options.result is not None:
        raise ConfigurationError([f"{options.result} is a result file, which only report takes"])
    _require(*_GENERATOR)
    report = options.report or options.output.with_suffix(".html")
    check_writable(options.output, report, options.junit, options.markdown, options.csv)
    storm = config_of(options, sys.argv[1:])
    if not storm.url:
        check_shared_port()
    required.check(find_scenario(storm.scenario)(storm.load, storm.options))
    paced = _paced(console, options, storm)
    try:
        with shown_progress(console, storm.load.duration) as progress:
            result = run_storm(paced.storm, progress)
    except (ServerDiedError, StormError) as error:
        print(f"linqi storm: {error}", file=sys.stderr)
        return 1
    chosen = (*paced.chosen, *paced.warnings)
    result = replace(result, generator=replace(result.generator, chosen=chosen))
    result = required.judge(result)
    save_run(result, options.output)
    return _show(console, options, result, options.output, against)


def _paced(console: Console, options: argparse.Namespace, storm: StormConfig) -> PacedStorm:
    """Fit the storm to the machine, and say what was chosen; options that were given stay."""
    from linqi_storm.clients.calibration import calibrate
    from linqi_storm.run.pacing import pace_storm
    from linqi_storm.scenarios import find_scenario

    cores = os.cpu_count() or 1
    paced = pace_storm(
        storm,
        find_scenario(storm.scenario)(storm.load, storm.options),
        calibrate(),
        cores=cores if storm.url else cores // 2,  # the servers need the others
        is_size_fixed=options.sessions is not None
        or bool(options.stage)
        or options.baseline is not None,
        are_processes_fixed=options.processes is not None,
    )
    for text in paced.chosen:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    for text in paced.warnings:
        console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
    return paced


def _require(*names: str) -> None:
    """Raise `ModuleNotFoundError` for a library that is not installed, without importing it."""
    for name in names:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _show(
    console: Console,
    options: argparse.Namespace,
    result: StormRun,
    path: Path,
    against: StormRun | None,
) -> int:
    """Show a result on the terminal, in the report and in the other formats requested."""
    from linqi_storm.report.junit import write_junit
    from linqi_storm.report.markdown import write_markdown
    from linqi_storm.report.page import write_report
    from linqi_storm.report.seconds_csv import write_csv
    from linqi_storm.report.verdict import EXIT_CODES, show_verdict

    report = options.report or path.with_suffix(".html")
    write_report(result, report, against)
    if options.junit is not None:
        write_junit([result], options.junit)
    if options.markdown is not None:
        write_markdown(result, options.markdown, against)
    if options.csv is not None:
        write_csv(result, options.csv)
    show_verdict(console, result)
    console.print(f"result: {path}", markup=False, soft_wrap=True)
    console.print(f"report: {report}", markup=False, soft_wrap=True)
    if options.json:
        print(path.read_text("utf-8"))
    return EXIT_CODES[result.verdict]


def _earlier(path: Path | None) -> StormRun | None:
    from linqi_storm.schema.result_file import load_run

    return None if path is None else load_run(path)


def _list(console: Any) -> None:
    from rich.table import Table

    from linqi_storm.scenarios import SCENARIOS

    table = Table(title="Scenarios", title_justify="left")
    for column in ("Name", "What happens", "Settings for --set"):
        table.add_column(column)
    for scenario in SCENARIOS.values():
        settings = ", ".join(f"{name}={value:g}" for name, value in scenario.options.items())
        table.add_row(scenario.name, scenario.summary, settings)
    console.print(table)


def _list_figures(console: Console) -> None:
    from rich.table import Table

    from linqi_storm.run.invariants import every_invariant
    from linqi_storm.schema.figures import figures_with

    figures = figures_with(every_invariant())
    table = Table(title="Figures for --require", title_justify="left")
    table.add_column("Name", min_width=max(map(len, figures)))
    for column in ("Unit", "Valid in a void run", "Meaning"):
        table.add_column(column)
    for figure in figures.values():
        is_valid = "yes" if figure.kind == "safety" else "no"
        table.add_row(figure.name, figure.unit, is_valid, figure.meaning)
    console.print(table)
