"""Wraps an application in the middleware that ``linqi.toml`` describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from linqi.asgi._http import ASGIApp
from linqi.asgi.authentication import Authenticate
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.route_table import RouteTable
from linqi.config.builder import Components, build
from linqi.config.reader import load
from linqi.config.schema import Config
from linqi.errors import ConfigurationError

__all__ = ["Around", "components_of", "wrap", "wrap_marked"]

Around: TypeAlias = Callable[[ASGIApp, RouteTable], ASGIApp]
"""Puts the middleware around an application, with the routes that it marks."""


def wrap(
    app: ASGIApp,
    config: str | Path | Config | Components = "linqi.toml",
    *,
    authenticate: Authenticate | None = None,
    marked: RouteTable | None = None,
    **options: Any,
) -> JWTMiddleware:
    """Return `app` inside the middleware that `config` describes.

    Args:
        app: Any ASGI 3 application.
        config: The path of a file, a `Config`, or `Components` if the application needs the
            parts.
        authenticate: Checks the credentials of a sign-in. It adds the session routes in front of
            `app`, and needs a store.
        marked: The routes that the application marked as public or optional beside their code.
        options: The options of `build`, such as `authorize` and `hooks`.

    Raises:
        ConfigurationError: Every fault, or options that `Components` would ignore.

    """
    parts = components_of(config, **options)
    wanted = parts.options()
    if authenticate is not None:
        routes = parts.routes(app, authenticate)
        app, wanted["public"] = routes, (*wanted["public"], *routes.public)
    return JWTMiddleware(app, marked=marked, **wanted)


def wrap_marked(
    app: ASGIApp,
    marked: RouteTable,
    config: str | Path | Config | Components | None,
    *,
    authenticate: Authenticate | None,
    around: Around | None,
    **options: Any,
) -> ASGIApp:
    """Return `app` inside the middleware, with the routes that its framework `marked`.

    Args:
        app: The application.
        marked: The routes that it marked as public or optional.
        config: As of `wrap`; None for ``linqi.toml``.
        authenticate: As of `wrap`.
        around: Builds the middleware by hand, instead of all other settings.
        options: As of `wrap`.

    Raises:
        ConfigurationError: As `wrap`; or settings are given beside `around`.

    """
    if around is None:
        chosen = "linqi.toml" if config is None else config
        return wrap(app, chosen, authenticate=authenticate, marked=marked, **options)
    if config is not None or authenticate is not None or options:
        raise ConfigurationError(["around builds the middleware itself; give no settings too"])
    return around(app, marked)


def components_of(config: str | Path | Config | Components, **options: Any) -> Components:
    """Return the parts that `config` describes.

    Raises:
        ConfigurationError: Every fault, or options that `Components` would ignore.

    """
    if isinstance(config, str | Path):
        config = load(config, options.get("environ"))
    if isinstance(config, Config):
        return build(config, **options)
    if options:
        raise ConfigurationError([f"{', '.join(options)}: pass it to linqi.config.build"])
    return config
