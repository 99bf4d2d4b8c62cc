"""The settings of a storm that the options of ``linqi storm`` describe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from linqi import ConfigurationError
from linqi.config import load as load_config
from linqi_storm.clients.login_endpoint import read_login
from linqi_storm.run.workload_options import workload_of
from linqi_storm.scenarios import find_scenario
from linqi_storm.scenarios.traffic import measured_mean
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.stages import Stage, parse_stage, sessions_of

__all__ = ["config_of"]


def config_of(options: argparse.Namespace, arguments: Sequence[str] = ()) -> StormConfig:
    """Return the settings of the storm that the options describe.

    Args:
        options: Of the command.
        arguments: The command line that they were read from, for the result.

    Raises:
        ConfigurationError: If the options are invalid or contradict each other.

    """
    scenario = find_scenario(options.scenario)
    stages = _stages(options)
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
    gap, spread, workload = options.gap_seconds, options.login_spread_seconds, None
    found = workload_of(options.workload, options.gaps, path=options.path, mean=gap)
    if found is not None:
        spread = found.login_spread_seconds if spread is None else spread
        gap, workload = found.pauses.mean, found.scaled(1 / k)
    elif gap is None:
        gap = measured_mean(options.gaps or "")
    seconds = usual.duration * usual.compression / k if options.seconds is None else options.seconds
    load = scenario.resized(
        sessions=sessions_of(stages) if stages else options.sessions,
        duration=sum(stage.seconds for stage in stages) or seconds,
        lifetime=real(lifetime, usual.lifetime),
        buffer=real(buffer, usual.buffer),
        gap=real(gap, usual.gap),
        login_spread=real(spread, usual.login_spread),
        law=None if workload else options.gaps,
        workload=workload,
        compression=k,
        seed=options.seed,
        stages=stages,
    )
    return StormConfig(
        scenario=options.scenario,
        load=load,
        options=_settings(options.set),
        policy=policy,
        alg=options.alg,
        bits=options.bits,
        workers=options.workers,
        generators=1 if options.processes is None else options.processes,
        store=options.store or scenario.stores[0],
        failover_command=options.failover_command,
        budget_per_second=options.budget_per_second,
        app=options.app,
        config=options.config,
        url=options.url,
        path=options.path,
        key=options.key,
        issuer=options.issuer,
        audience=options.audience,
        scopes=tuple(options.scope),
        login=read_login(options.login),
        is_own_host=options.i_own_this_host,
        tags=_pairs("--tag", "VALUE", options.tag),
        command=("linqi", *_without_secrets(arguments)),
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
    for name, value in _pairs("--set", "NUMBER", pairs).items():
        try:
            found[name] = float(value)
        except ValueError:
            raise ConfigurationError([f"--set takes NAME=NUMBER, not {name}={value}"]) from None
    return found


def _pairs(option: str, kind: str, pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ConfigurationError([f"{option} takes NAME={kind}, not {pair!r}"])
        found[name] = value
    return found


def _stages(options: argparse.Namespace) -> tuple[Stage, ...]:
    stages = tuple(parse_stage(text) for text in options.stage)
    if not stages:
        return ()
    given = {
        "--sessions": options.sessions,
        "--seconds": options.seconds,
        "--login-spread-seconds": options.login_spread_seconds,
    }
    faults = [f"both --stage and {name} are given" for name, value in given.items() if value]
    if not sum(stage.seconds for stage in stages):
        faults.append("the stages last 0 s, expected more")
    if not sessions_of(stages):
        faults.append("no stage has a session")
    if faults:
        raise ConfigurationError(faults)
    return stages
