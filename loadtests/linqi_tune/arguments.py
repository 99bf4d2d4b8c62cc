"""The options of ``linqi tune``, and what they mean: sources, targets and the proof."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeAlias

from linqi_tune.evidence.log_formats import FORMATS
from linqi_tune.evidence.log_selection import FIELDS, KINDS
from linqi_tune.evidence.prometheus_server import TOKEN_VARIABLE, PrometheusSource
from linqi_tune.evidence.sources import Sources
from linqi_tune.model.measurements import TARGET_OPTIONS, Targets
from linqi_tune.proof.proof_run import ProofConfig

__all__ = ["add_options", "proof_config_of", "sources_of", "targets_of"]

_Options: TypeAlias = Mapping[str, tuple[str, Mapping[str, Any]]]
"""The help of each option, and what else `argparse` needs to know of it."""

_FILE: Final = {"type": Path, "metavar": "FILE"}
_SOURCES: Final[_Options] = {
    "--bench": ("a result of linqi bench", _FILE),
    "--storm": ("a result of linqi storm", _FILE),
    "--log": (
        "an access log, or a pattern such as 'access.log*'; .gz, .zst, CSV and Parquet too; repeat"
        " for several, in any order",
        {"metavar": "FILE", "action": "append", "default": []},
    ),
    "--log-format": (
        f"{', '.join(FORMATS)}, or a format string of nginx or Apache; detected if not given",
        {"metavar": "FORMAT", "default": ""},
    ),
    "--log-session": (
        "the field that tells persons apart: user, address, cookie:NAME, the number or name of a"
        " field after the user agent, or the name of a field, a column or a member (a.b)",
        {"metavar": "FIELD", "default": ""},
    ),
    "--log-time": (
        "the field with the time, if it has no usual name",
        {"metavar": "FIELD", "default": ""},
    ),
    "--exclude": (
        "leave requests out of the log: FIELD=PATTERN or a kind; see --only",
        {"metavar": "WHAT", "action": "append", "default": []},
    ),
    "--only": (
        f"keep only these requests of the log: FIELD=PATTERN (fields: {', '.join(FIELDS)}; * stands"
        f" for any text), or a kind ({', '.join(KINDS)}); repeat for several",
        {"metavar": "WHAT", "action": "append", "default": []},
    ),
    "--quiet-path": (
        "a path that pages request by themselves, such as /polls or /events/*; repeat for several;"
        " added to [paths] quiet",
        {"metavar": "PATH", "action": "append", "default": []},
    ),
    "--metrics": ("the middleware's metrics, in the text format of Prometheus", _FILE),
    "--prometheus": (
        "a Prometheus server that scrapes the workers, such as http://localhost:9090; a bearer"
        f" token is read from {TOKEN_VARIABLE}",
        {"metavar": "URL"},
    ),
    "--prometheus-days": (
        "how far back (default: %(default)g)",
        {"type": float, "default": 7.0, "metavar": "DAYS"},
    ),
    "--prometheus-match": (
        "matchers that select the deployment, such as 'job=\"shop\"'",
        {"metavar": "MATCHERS", "default": ""},
    ),
}
_TARGETS: Final[Mapping[str, str]] = {
    "sessions": "sessions active at once, at most",
    "peak_rps": "requests in the busiest second",
    "workers": "server processes; recommended if not given",
    "memory_mb": "memory for cached tokens in each worker, in MB",
    "max_sign_ins": "forced sign-ins per person and day, at most; without it as few as the allowed"
    " lifetimes permit",
    "cpu_share": "highest utilisation of a worker",
    "revocation": "time after which a revoked session must be refused",
    "session_cap": "longest session",
    "most_lifetime": "longest lifetime of an access token, for which a stolen one is valid",
    "timeout": "time after which clients abandon a request",
    "outage": "longest outage in which no session may be lost",
    "published_ahead": "time for which outside issuers publish a key before it signs",
}
_OUTPUT: Final[_Options] = {
    "--config": (
        "the configuration to read and write (default: %(default)s)",
        {**_FILE, "default": Path("linqi.toml")},
    ),
    "--choose": (
        "the option to write (default: %(default)s)",
        {"choices": ("safer", "balanced", "leaner"), "default": "balanced"},
    ),
    "--dry-run": ("write no settings", {"action": "store_true"}),
    "--yes": ("write without a question", {"action": "store_true"}),
    "--json": ("print the advice as JSON on standard output", {"action": "store_true"}),
    "--html": ("write a page with the curves", _FILE),
    "--workload": (
        "write the pages, pauses and visits of --log as a workload for linqi storm",
        {**_FILE, "metavar": "FILE.json"},
    ),
    "--check": (
        "exit with 1 if targets contradict each other or the proof does not hold; with --dry-run"
        " also if the settings in force are surely worse than the chosen option",
        {"action": "store_true"},
    ),
}
_PROOF: Final[_Options] = {
    "--prove": (
        "run storms of the old and the new settings; without --storm, first one of the settings in"
        " force",
        {"action": "store_true"},
    ),
    "--app": ("your own application", {"metavar": "MODULE:APP"}),
    "--path": ("the page to request", {}),
    "--prove-sessions": ("sessions in each storm", {"type": int}),
    "--compress": ("divide real times by K", {"type": float, "metavar": "K"}),
    "--repeat": ("storms of each side", {"type": int, "default": 1, "metavar": "N"}),
    "--seed": ("the first seed, to repeat a proof", {"type": int}),
    "--prove-folder": (
        "folder for results and reports (default: %(default)s)",
        {"type": Path, "default": Path("linqi-proof"), "metavar": "FOLDER"},
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    _add(parser.add_argument_group("measurements (any of them)"), _SOURCES)
    group = parser.add_argument_group("targets")
    for field in fields(Targets):
        if field.name in _TARGETS:
            _add_target(group, field.name, field.default)
    group.add_argument("--max-lost", action=_Removed, help="removed: use --max-sign-ins-per-day")
    _add(parser.add_argument_group("output"), _OUTPUT)
    _add(parser.add_argument_group("proof, by storms before and after the change"), _PROOF)


def _add(group: Any, options: _Options) -> None:
    for option, (text, more) in options.items():
        group.add_argument(option, help=text, **more)


def _add_target(group: Any, name: str, default: Any) -> None:
    group.add_argument(
        TARGET_OPTIONS[name],
        dest=name,
        type=int if name in ("sessions", "workers") else float,
        default=default,
        metavar="SHARE" if name == "cpu_share" else None,
        help=_TARGETS[name] + ("" if default is None else " (default: %(default)g)"),
    )


class _Removed(argparse.Action):
    """Refuses ``--max-lost``, which counted only the renewals that a longer buffer saves."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.error(
            "--max-lost was removed: it left out sign-ins that no buffer saves; use"
            " --max-sign-ins-per-day, the forced sign-ins per person and day, whatever their cause"
        )


def sources_of(arguments: argparse.Namespace) -> Sources:
    """Return the files to read; a configuration that does not exist is left out."""
    return Sources(
        config=arguments.config if arguments.config.exists() else None,
        bench=arguments.bench,
        storm=arguments.storm,
        logs=arguments.log,
        log_format=arguments.log_format,
        log_session=arguments.log_session,
        log_time=arguments.log_time,
        exclude=arguments.exclude,
        only=arguments.only,
        with_traffic=arguments.workload is not None,
        quiet_paths=arguments.quiet_path,
        metrics=arguments.metrics,
        prometheus=_prometheus_of(arguments),
    )


def _prometheus_of(arguments: argparse.Namespace) -> PrometheusSource | None:
    if arguments.prometheus is None:
        return None
    return PrometheusSource(
        url=arguments.prometheus,
        days=arguments.prometheus_days,
        match=arguments.prometheus_match,
    )


def targets_of(arguments: argparse.Namespace) -> Targets:
    """Return the targets; raise ConfigurationError for one out of its range."""
    return Targets(**{name: getattr(arguments, name) for name in _TARGETS})


def proof_config_of(arguments: argparse.Namespace) -> ProofConfig | None:
    """Return how to run the proof; None without ``--prove``."""
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
