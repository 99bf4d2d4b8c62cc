"""Puts `JWTMiddleware` around a Quart application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quart import Quart

from linqi.asgi.authentication import Authenticate
from linqi.asgi.caller import LoadUser
from linqi.asgi.route_table import RouteTable
from linqi.config.builder import Components
from linqi.config.schema import Config
from linqi.config.wrapper import Around, wrap_marked
from linqi.errors import ConfigurationError, TokenError, Unavailable
from linqi.quart.callers import EXTENSION, refused
from linqi.quart.routes import count_routes, marked_routes

__all__ = ["protect"]


def protect(
    app: Quart,
    config: str | Path | Config | Components | None = None,
    *,
    authenticate: Authenticate | None = None,
    load_user: LoadUser | None = None,
    around: Around | None = None,
    **options: Any,
) -> None:
    """Guard all of `app`: its routes, static files, WebSockets and 404s.

    ``app.asgi_app`` is replaced, so `app` stays a `Quart`: ``quart run``, hypercorn and its test
    client work. The routes may be added before or after.

    Args:
        app: The application.
        config: As of `linqi.config.wrap`; ``linqi.toml`` by default.
        authenticate: Checks the credentials of a sign-in; it adds the session routes.
        load_user: Returns the application's own user of a verified token, or None (`user`).
        around: Builds the middleware by hand, instead of `config`: gets the application and the
            marked routes, returns ``JWTMiddleware(..., marked=marked)``.
        options: The options of `linqi.config.build`, such as `authorize` and `hooks`.

    Raises:
        ConfigurationError: Every fault of the settings, or `app` is protected already.

    """
    if EXTENSION in app.extensions:
        raise ConfigurationError(["protect was called twice for one Quart application"])
    marked = RouteTable(lambda: marked_routes(app), version=lambda: count_routes(app))
    inner: Any = app.asgi_app
    guard = wrap_marked(inner, marked, config, authenticate=authenticate, around=around, **options)
    app.extensions[EXTENSION] = load_user
    for error in (TokenError, Unavailable):
        app.register_error_handler(error, refused)
    app.asgi_app = guard  # type: ignore[method-assign, assignment]
