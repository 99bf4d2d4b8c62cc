"""The user's own application with its linqi.toml, prepared for a storm."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, Literal

from starlette.types import ASGIApp

from linqi import ConfigurationError, Jitter, Policy, Threshold
from linqi.asgi.authentication import Authenticate
from linqi.config import Components, Config, load, wrap
from linqi.config.store_table import StoreTable
from linqi.config.verification_tables import KeysTable
from linqi_storm.apps.app_wiring import replace_middleware
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.user_module import import_here
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import TokenTransport
from linqi_storm.schema.policies import parse_policy

__all__ = ["config_for_run", "import_app", "transport_of", "user_config", "wrap_for_run"]


def user_config(storm: StormConfig, scenario: Scenario) -> Config:
    """Return the configuration in the linqi.toml of `storm`.

    Raises:
        ConfigurationError: If there is none, or the scenario needs another kind of sessions.

    """
    if storm.config is None:
        raise ConfigurationError(
            [
                "--app needs --config, the path of a linqi.toml with the issuer, the audience and"
                " the renewal of the application. linqi init writes one; an application that does"
                " not load it is given its settings for the run. Or start the application yourself"
                " and use --url with --key"
            ]
        )
    config = load(storm.config)
    faults = []
    if scenario.embedded not in ("sliding", "dual"):
        faults.append(f"{scenario.name} starts its own server, expected no --app")
    elif scenario.mode == "dual" and not config.has_store:
        faults.append(f"{scenario.name} needs sessions in a store; {storm.config} has no [store]")
    elif scenario.mode == "sliding" and not config.slides:
        faults.append(f"{scenario.name} needs sliding sessions; {storm.config} has none")
    if not (config.verify.issuer and config.verify.audience):
        faults.append(f"{storm.config} needs issuer and audience in [verify]")
    if faults:
        raise ConfigurationError(faults)
    return config


def transport_of(config: Config | None, path: str) -> TokenTransport:
    """Return where requests carry tokens under `config`, or in the embedded applications."""
    if config is None:
        return TokenTransport(path=path or "/me")
    prefix = config.paths.sessions_prefix or ""
    return TokenTransport(
        path=path or "/me",
        cookie="" if "header" in config.http.accept else config.cookies.access_name,
        successor_header=config.http.successor_header,
        refresh_path=f"{prefix}/refresh",
        logout_path=f"{prefix}/logout",
        quiet_header=config.http.quiet_header or TokenTransport().quiet_header,
    )


def config_for_run(
    config: Config,
    *,
    jwks: str,
    secret: str,
    store: str,
    lifetime: float,
    buffer: float,
    policy: str,
    whole_seconds: bool,
) -> Config:
    """Return `config` with the keys, the store, the compressed times and the policy of one run.

    The user's own keys and sessions are not used. The login throttle is off, because all clients
    of a storm have the same address.
    """
    # The clients of a storm send tokens in Authorization, whichever header a proxy would use.
    headers = dataclasses.replace(config.http, token_headers=("Authorization: Bearer",))
    margin = config.renewal.hard_margin_seconds
    compression = config.renewal.lifetime_seconds / lifetime
    chosen = parse_policy(policy)
    width = chosen.width if isinstance(chosen, Jitter) else config.renewal.jitter_width
    renewal = dataclasses.replace(
        config.renewal,
        lifetime_seconds=lifetime,
        buffer_seconds=buffer,
        policy=_name_of(chosen),
        jitter_width=width,
        hard_margin_seconds=None if margin is None else margin / compression,
        whole_second_times=config.renewal.whole_second_times and whole_seconds,
    )
    kept = config.store
    if config.has_store:
        kept = StoreTable(
            url=store or "memory:",
            secrets_file=secret,
            stale_after_seconds=config.store.stale_after_seconds,
        )
    return dataclasses.replace(
        config,
        keys=KeysTable(file=jwks, check_seconds=config.keys.check_seconds),
        renewal=renewal,
        store=kept,
        http=headers,
        throttle=dataclasses.replace(config.throttle, enabled=False),
    )


def _name_of(policy: Policy) -> Literal["grid", "plain", "jitter"]:
    if isinstance(policy, Jitter):
        return "jitter"
    return "plain" if isinstance(policy, Threshold) else "grid"


def import_app(place: str) -> Any:
    """Return the application at ``module:app``, or what the factory at ``module:create_app`` makes.

    Raises:
        ConfigurationError: If it cannot be imported, or is no ASGI application.

    """
    module, colon, member = place.partition(":")
    if not colon:
        raise ConfigurationError([f"the app is {place!r}, expected module:app"])
    try:
        found: Any = import_here(module)
        for name in member.removesuffix("()").split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError([f"{place} cannot be imported: {error}"]) from error
    if inspect.isfunction(found) and not inspect.signature(found).parameters:
        found = found()
    if not callable(found):
        raise ConfigurationError([f"{place} is {found!r}, expected an ASGI application"])
    return found


def wrap_for_run(
    app: Any, components: Components, *, authenticate: Authenticate | None = None
) -> ASGIApp:
    """Return `app` with the middleware of `components` in place of its own, wherever that is.

    If `app` has no middleware, or it cannot be found, the application is wrapped as a whole; the
    preflight of the storm refuses an application that verifies with other keys then.
    """

    def rewrap(inner: Any) -> Any:
        return wrap(inner, components, authenticate=authenticate)

    found, replaced = replace_middleware(app, rewrap)
    wrapped: ASGIApp = found if replaced else rewrap(found)
    return wrapped
