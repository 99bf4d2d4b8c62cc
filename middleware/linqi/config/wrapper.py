"""Wraps an application in the middleware that ``linqi.toml`` describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linqi.asgi._http import ASGIApp
from linqi.asgi.authentication import Authenticate
from linqi.asgi.middleware import JWTMiddleware
from linqi.config.builder import Components, build
from linqi.config.reader import load
from linqi.config.schema import Config
from linqi.errors import ConfigurationError

__all__ = ["wrap"]


def wrap(
    app: ASGIApp,
    config: str | Path | Config | Components = "linqi.toml",
    *,
    authenticate: Authenticate | None = None,
    **options: Any,
) -> JWTMiddleware:
    """Return `app` inside the middleware that `config` describes.

    Args:
        app: Any ASGI 3 application.
        config: The path of a file, a `Config`, or `Components` if the application needs the
            parts.
        authenticate: Checks the credentials of a sign-in. It adds the session routes in front of
            `app`, and needs a store.
        options: The options of `build`, such as `authorize` and `hooks`.

    Raises:
        ConfigurationError: Every fault, or options that `Components` would ignore.

    """
    if isinstance(config, str | Path):
        config = load(config, options.get("environ"))
    if isinstance(config, Config):
        config = build(config, **options)
    elif options:
        raise ConfigurationError([f"{', '.join(options)}: pass it to linqi.config.build"])
    wanted = config.options()
    if authenticate is not None:
        routes = config.routes(app, authenticate)
        app, wanted["public"] = routes, (*wanted["public"], *routes.public)
    return JWTMiddleware(app, **wanted)
