"""Puts the middleware that ``linqi.toml`` describes into a Starlette application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from linqi.asgi._http import ASGIApp, Receive, Scope, Send
from linqi.asgi.authentication import Authenticate
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.route_table import RouteTable
from linqi.asgi.routes import SessionRoutes
from linqi.config.builder import Components
from linqi.config.schema import Config
from linqi.config.wrapper import components_of
from linqi.errors import ConfigurationError
from linqi.starlette.routes import marked_routes

__all__ = ["install", "protect"]


def protect(
    app: Starlette,
    config: str | Path | Config | Components = "linqi.toml",
    *,
    authenticate: Authenticate | None = None,
    **options: Any,
) -> Components:
    """Put the middleware that `config` describes into `app`, and return its parts.

    `app` stays what it is: ``uvicorn shop:app`` and tests use it. Routes may be declared before or
    after this call, until the application serves. A `CORSMiddleware` stays outside, whether it is
    added before or after.

    Args:
        app: The application.
        config: The path of a file, a `Config`, or `Components`.
        authenticate: Checks the credentials of a sign-in. It adds the session routes, and needs a
            store.
        options: The options of `linqi.config.build`, such as `authorize` and `hooks`.

    Raises:
        ConfigurationError: Every fault of the configuration or of the marks.

    """
    return install(app, marked_routes(app), config, authenticate, options)


def install(
    app: Starlette,
    marked: RouteTable,
    config: str | Path | Config | Components,
    authenticate: Authenticate | None,
    options: dict[str, Any],
    *,
    public: Sequence[str] = (),
) -> Components:
    """Put the middleware into `app`; see `protect`.

    Args:
        app: The application.
        marked: Its routes.
        config: See `protect`.
        authenticate: See `protect`.
        options: See `protect`.
        public: Further public paths.

    Raises:
        ConfigurationError: As `protect`; or `app` is protected already, or serves.

    """
    _check_app(app)
    parts = components_of(config, **options)
    stack = []
    wanted = parts.options() | {"marked": marked}
    wanted["public"] = (*wanted["public"], *public)
    if authenticate is not None:
        routes = parts.routes(_nothing, authenticate)
        wanted["public"] += routes.public
        stack.append(Middleware(_session_routes, parts, authenticate))
    JWTMiddleware(_nothing, **wanted)  # its faults are raised here, not at the first request
    stack.insert(0, Middleware(JWTMiddleware, **wanted))
    classes: list[object] = [each.cls for each in app.user_middleware]
    place = 1 + max((at for at, each in enumerate(classes) if each is CORSMiddleware), default=-1)
    app.user_middleware[place:place] = stack
    return parts


def _check_app(app: Starlette) -> None:
    if app.middleware_stack is not None:
        raise ConfigurationError(["the application serves already; call protect() before"])
    classes: list[object] = [each.cls for each in app.user_middleware]
    if JWTMiddleware in classes:
        raise ConfigurationError(["the application has a JWTMiddleware already"])


def _session_routes(app: ASGIApp, parts: Components, authenticate: Authenticate) -> SessionRoutes:
    return parts.routes(app, authenticate)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand for the application where only arguments are checked."""
