"""``linqi storm``: its options, and what it does with them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from linqi import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from linqi_storm.schema.config import StormConfig
    from linqi_storm.schema.results import StormRun

__all__ = ["add_options", "run"]

_GENERATOR: Final = ("gevent", "hdrh", "locust", "psutil", "starlette", "uvicorn")
"""Libraries that the processes of a storm import: checked first, for a clear message."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi storm``."""
    scenario = "a name of --list, or module:Class; report: show an earlier result again"
    parser.add_argument("scenario", nargs="?", default="storm-sliding", help=scenario)
    parser.add_argument("result", nargs="?", type=Path, help="result file, after report")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    _add_target(parser.add_argument_group("service under test (default: an embedded application)"))
    _add_load(parser.add_argument_group("load (defaults: those of the scenario)"))
    _add_output(parser.add_argument_group("result"))


def _add_target(target: argparse._ArgumentGroup) -> None:
    add = target.add_argument
    add("--app", default="", help="module:app, your own ASGI application")
    add("--config", type=Path, help="the linqi.toml of --app")
    add("--url", default="", help="a running deployment")
    add("--i-own-this-host", action="store_true", help="allow a --url beyond this machine")
    add("--path", default="", help="path of the page that clients request; default /me")
    add("--key", type=Path, help="JWKS file with the signing key of --url")
    add("--issuer", default="", help="iss of the tokens for --url")
    add("--audience", default="", help="aud of the tokens for --url")
    add("--login", default="", help='instead of --key: {"url": ..., "body": {...}, ...}')
    add("--workers", type=int, default=2, help="server processes, 1 to 64; default 2")
    add("--store", choices=("sqlite", "valkey", "postgresql"), default="sqlite")
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
    add("--lifetime-seconds", type=float, help="of access tokens, before compression")
    add("--buffer-seconds", type=float, help="renewal buffer, before compression")
    add("--gap-seconds", type=float, help="mean pause between pages, before compression")
    gaps = "distribution of the pauses: exponential, reading or measured:FILE"
    add("--gaps", metavar="LAW", help=gaps)
    spread = "time within which all sessions sign in, before compression"
    add("--login-spread-seconds", type=float, help=spread)
    add("--compress", type=float, metavar="K", help="divide lifetime, buffer and pauses by K")
    add("--seed", type=int, help="of all random draws")
    setting = "a setting of the scenario, see --list"
    add("--set", action="append", default=[], metavar="NAME=NUMBER", help=setting)
    add("--processes", type=int, default=1, help="load generator processes, 1 to 64; default 1")


def _add_output(output: argparse._ArgumentGroup) -> None:
    add = output.add_argument
    add("--output", type=Path, default=Path("storm.json"), help="result as JSON")
    report = "HTML report; default: beside the JSON"
    add("-o", "--report", type=Path, metavar="FILE.html", help=report)
    against = "an earlier result to compare with in the report"
    add("--against", type=Path, metavar="OTHER.json", help=against)
    add("--junit", type=Path, help="invariants as JUnit XML")
    add("--json", action="store_true", help="print the result on standard output")


def run(options: argparse.Namespace) -> int:
    """Run a storm, or show an earlier result after ``report``.

    Returns:
        The exit code: 0 if every invariant held, 1 if not, 3 if the run is void.

    Raises:
        ConfigurationError: If the options are invalid or contradict each other.

    """
    from rich.console import Console

    from linqi_report.processes import ServerDiedError
    from linqi_storm.run.progress import shown_progress
    from linqi_storm.run.runner import StormError, run_storm
    from linqi_storm.schema.result_file import load_run, save_run

    console = Console(stderr=options.json)
    if options.list:
        _list(console)
        return 0
    against = _earlier(options.against)
    if options.scenario == "report":
        if options.result is None:
            raise ConfigurationError(["report needs a result file: linqi storm report FILE"])
        return _show(console, options, load_run(options.result), options.result, against)
    if options.result is not None:
        raise ConfigurationError([f"{options.result} is a result file, which only report takes"])
    _require(*_GENERATOR)
    storm = config_of(options)
    try:
        with shown_progress(console, storm.load.duration) as progress:
            result = run_storm(storm, progress)
    except (ServerDiedError, StormError) as error:
        print(f"linqi storm: {error}", file=sys.stderr)
        return 1
    save_run(result, options.output)
    return _show(console, options, result, options.output, against)


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
    from linqi_storm.report.page import write_report
    from linqi_storm.report.verdict import EXIT_CODES, show_verdict

    report = options.report or path.with_suffix(".html")
    write_report(result, report, against)
    if options.junit is not None:
        write_junit([result], options.junit)
    show_verdict(console, result)
    console.print(f"result: {path}", markup=False, soft_wrap=True)
    console.print(f"report: {report}", markup=False, soft_wrap=True)
    if options.json:
        print(path.read_text("utf-8"))
    return EXIT_CODES[result.verdict]


def _earlier(path: Path | None) -> StormRun | None:
    from linqi_storm.schema.result_file import load_run

    return None if path is None else load_run(path)


def config_of(options: argparse.Namespace) -> StormConfig:
    """Return the settings of the storm that the options describe.

    Raises:
        ConfigurationError: If the options are invalid or contradict each other.

    """
    from linqi.config import load as load_config
    from linqi_storm.clients.login_endpoint import read_login
    from linqi_storm.scenarios import find_scenario
    from linqi_storm.schema.config import StormConfig

    scenario = find_scenario(options.scenario)
    # The times of a running deployment cannot be compressed.
    k = options.compress or (1.0 if options.url else scenario.load.compression)
    table = load_config(options.config).renewal if options.app and options.config else None
    policy = options.policy or ("grid" if table is None else _policy_of(table))
    lifetime, buffer = options.lifetime_seconds, options.buffer_seconds
    if table is not None:
        lifetime, buffer = lifetime or table.lifetime_seconds, buffer or table.buffer_seconds

    def real(seconds: float | None, usual: float) -> float:
        """Compress `seconds`, or the scenario's default converted to real time."""
        return (usual * scenario.load.compression if seconds is None else seconds) / k

    usual = scenario.load
    load = scenario.resized(
        sessions=options.sessions,
        duration=usual.duration * usual.compression / k
        if options.seconds is None
        else options.seconds,
        lifetime=real(lifetime, usual.lifetime),
        buffer=real(buffer, usual.buffer),
        gap=real(options.gap_seconds, usual.gap),
        login_spread=real(options.login_spread_seconds, usual.login_spread),
        law=options.gaps,
        compression=k,
        seed=options.seed,
    )
    return StormConfig(
        scenario=options.scenario,
        load=load,
        options=_settings(options.set),
        policy=policy,
        alg=options.alg,
        bits=options.bits,
        workers=options.workers,
        generators=options.processes,
        store=options.store,
        budget_per_second=options.budget_per_second,
        app=options.app,
        config=options.config,
        url=options.url,
        path=options.path,
        key=options.key,
        issuer=options.issuer,
        audience=options.audience,
        login=read_login(options.login),
        is_own_host=options.i_own_this_host,
        command=("linqi", *_without_secrets(sys.argv[1:])),
    )


def _policy_of(table: Any) -> str:
    is_jitter = table.policy == "jitter"
    return f"jitter {table.jitter_width:g}" if is_jitter else str(table.policy)


def _without_secrets(arguments: Sequence[str]) -> list[str]:
    """Return the command line for the result, without ``--login``, which may hold a password."""
    shown, is_login = [], False
    for argument in arguments:
        name, given, _ = argument.partition("=")
        shown.append(
            "..." if is_login else f"{name}=..." if name == "--login" and given else argument
        )
        is_login = argument == "--login"
    return shown


def _settings(pairs: Sequence[str]) -> dict[str, float]:
    found = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise ConfigurationError([f"--set takes NAME=NUMBER, not {pair!r}"]) from None
    return found


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
