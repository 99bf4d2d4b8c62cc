"""Wraps an application in the middleware that ``linqi.toml`` describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linqi.asgi._http import ASGIApp
from linqi.asgi.authentication import Authenticate
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.route_table import RouteTable
from linqi.config.builder import Components, build
from linqi.config.reader import load
from linqi.config.schema import Config
from linqi.errors import ConfigurationError

__all__ = ["components_of", "wrap"]


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
