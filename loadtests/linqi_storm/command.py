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
"""What the processes of a storm need, which could only say so in their logs."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi storm``."""
    parser.add_argument("scenario", nargs="?", default="storm-sliding",
                        help="a name of --list, or module:Class of your own;"
                             " report: show an earlier result again")  # fmt: skip
    parser.add_argument("result", nargs="?", type=Path, help="of an earlier run, after report")
    parser.add_argument("--list", action="store_true", help="tell the scenarios")
    target = parser.add_argument_group("what is tested (default: an embedded application)")
    target.add_argument("--app", default="", help="module:app, your own ASGI application")
    target.add_argument("--config", type=Path, help="the linqi.toml of --app")
    target.add_argument("--url", default="", help="a running deployment")
    target.add_argument("--i-own-this-host", action="store_true",
                        help="allow a --url that is not on this machine")  # fmt: skip
    target.add_argument("--path", default="", help="the page to ask for; default /me")
    target.add_argument("--key", type=Path, help="JWKS file with the signing key of --url")
    target.add_argument("--issuer", default="", help="iss of the tokens for --url")
    target.add_argument("--audience", default="", help="aud of the tokens for --url")
    target.add_argument(
        "--login", default="", help='instead of --key: {"url": ..., "body": {...}, ...}'
    )
    target.add_argument("--workers", type=int, default=2)
    target.add_argument("--store", choices=("sqlite", "valkey", "postgresql"), default="sqlite")
    target.add_argument(
        "--policy", default="", help="grid, plain or 'jitter .25'; default: of --config, else grid"
    )
    target.add_argument("--alg", default="RS256")
    target.add_argument("--bits", type=int, default=2048, help="of an RSA key")
    target.add_argument("--budget-per-second", type=float, help="of renewals, all workers together")
    load = parser.add_argument_group("the load (defaults: the scenario's own)")
    load.add_argument("--sessions", type=int)
    load.add_argument("--seconds", type=float, help="how long the storm lasts")
    load.add_argument("--lifetime-seconds", type=float, help="the real one, before compression")
    load.add_argument("--buffer-seconds", type=float, help="the real one")
    load.add_argument("--gap-seconds", type=float, help="the real mean pause between pages")
    load.add_argument("--gaps", metavar="LAW",
                      help="of the pauses: exponential, reading or measured:FILE")  # fmt: skip
    load.add_argument("--login-spread-seconds", type=float, help="the real one")
    load.add_argument("--compress", type=float, metavar="K", help="divide all these by K")
    load.add_argument("--seed", type=int)
    load.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER",
                      help="a setting of the scenario's own")  # fmt: skip
    load.add_argument("--processes", type=int, default=1, help="generators")
    output = parser.add_argument_group("the result")
    output.add_argument("--output", type=Path, default=Path("storm.json"))
    output.add_argument("-o", "--report", type=Path, metavar="FILE.html",
                        help="the HTML report; default beside the JSON")  # fmt: skip
    output.add_argument("--against", type=Path, metavar="OTHER.json",
                        help="an earlier result to compare with, in the report")  # fmt: skip
    output.add_argument("--junit", type=Path, help="also as JUnit XML")
    output.add_argument("--json", action="store_true", help="the result on standard output")


def run(options: argparse.Namespace) -> int:
    """Run a storm; 0 when every invariant held, 1 when not, 3 when the run is void.

    ``report`` shows a result that there is already, with the same exit code.
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
            raise ConfigurationError(["report takes the JSON of a run: linqi storm report FILE"])
        return _show(console, options, load_run(options.result), options.result, against)
    if options.result is not None:
        raise ConfigurationError([f"only report takes a result, and {options.result} is given"])
    _find(*_GENERATOR)
    storm = config_of(options)
    try:
        with shown_progress(console, storm.load.duration) as progress:
            result = run_storm(storm, progress)
    except (ServerDiedError, StormError) as error:
        print(f"linqi storm: {error}", file=sys.stderr)
        return 1
    save_run(result, options.output)
    return _show(console, options, result, options.output, against)


def _find(*names: str) -> None:
    """Raise `ModuleNotFoundError` for what is not installed, without importing it."""
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
    """Tell of a result on the terminal, in the report and wherever else it is asked for."""
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
    """Give what the options ask for; `ConfigurationError` when they do not fit."""
    from linqi.config import load as load_config
    from linqi_storm.clients.login_endpoint import read_login
    from linqi_storm.scenarios import find_scenario
    from linqi_storm.schema.config import StormConfig

    scenario = find_scenario(options.scenario)
    # What runs already cannot be compressed.
    k = options.compress or (1.0 if options.url else scenario.load.compression)
    told = load_config(options.config).renewal if options.app and options.config else None
    policy = options.policy or ("grid" if told is None else _policy_of(told))
    lifetime, buffer = options.lifetime_seconds, options.buffer_seconds
    if told is not None:
        lifetime, buffer = lifetime or told.lifetime_seconds, buffer or told.buffer_seconds

    def real(seconds: float | None, usual: float) -> float:
        """Compress what was given, or the scenario's own as it would be at its own factor."""
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
    """Give the command line as results show it: a login holds a password."""
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

    table = Table(title="scenarios", title_justify="left")
    for column in ("name", "what happens", "settings"):
        table.add_column(column)
    for scenario in SCENARIOS.values():
        settings = ", ".join(f"{name}={value:g}" for name, value in scenario.options.items())
        table.add_row(scenario.name, scenario.summary, settings)
    console.print(table)
