"""The plugin that puts `JWTMiddleware` around a Litestar application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import InitPlugin
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute

from linqi.asgi._http import ASGIApp, Receive, Scope, Send
from linqi.asgi.authentication import Authenticate
from linqi.asgi.caller import LoadUser, caller_of
from linqi.asgi.route_table import RouteRule, RouteTable
from linqi.config.wrapper import Around, components_of, wrap_marked
from linqi.errors import ConfigurationError, TokenError, Unavailable
from linqi.litestar.callers import Refused, current, current_or_none, respond, user_dependencies
from linqi.litestar.openapi import describe_route, describe_security, session_handlers
from linqi.litestar.routes import handlers_of, marked_routes

__all__ = ["LinqiPlugin"]


class LinqiPlugin(InitPlugin, ReceiveRoutePlugin):
    """Guards a Litestar application: every route, static files, WebSockets, 404 and 405 too.

    The application stays a `Litestar`, so its command line and its test clients work. The
    middleware stands between Litestar's CORS handling and its router: scripts of other origins can
    read refusals, and no path of the application is outside.

    Handlers may ask for ``current`` (the `Verified` token, 401 without one), ``current_or_none``,
    and with `load_user` for ``user`` and ``user_or_none``.

    Args:
        config: As of `linqi.config.wrap`: the path of ``linqi.toml``, a `Config` or `Components`.
        authenticate: Checks the credentials of a sign-in; it adds the session routes.
        load_user: Returns the application's own user of a verified token, or None if there is none
            any more (401); called at most once per request, as a plain or a coroutine function.
        public_docs: Whether the OpenAPI document and its pages are public.
        around: Builds the middleware by hand, instead of `config`: gets the application and the
            marked routes, returns ``JWTMiddleware(..., marked=marked)``.
        session_prefix: With `around`: the prefix of `SessionRoutes` in it, which the OpenAPI
            document then has; None for no session routes.
        options: The options of `linqi.config.build`, such as `authorize` and `hooks`.

    Attributes:
        guard: The outermost ASGI callable of linqi around the application.

    Raises:
        ConfigurationError: Every fault of the settings, or options that do not fit together.

    """

    def __init__(
        self,
        config: Any = None,
        *,
        authenticate: Authenticate | None = None,
        load_user: LoadUser | None = None,
        public_docs: bool = False,
        around: Around | None = None,
        session_prefix: str | None = None,
        **options: Any,
    ) -> None:
        self._load_user = load_user
        self._public_docs = public_docs
        self._session_prefix = session_prefix
        self._moves = False
        self._router = _GuardedRouter()
        marked = RouteTable(self._collect, version=self._count_routes)
        if around is None:
            config = components_of("linqi.toml" if config is None else config, **options)
            options = {}
            if authenticate is not None:
                self._session_prefix = config.config.paths.sessions_prefix or ""
                self._moves = config.verifier.bridge is not None
        self.guard: ASGIApp = wrap_marked(
            self._router.serve,
            marked,
            config,
            authenticate=authenticate,
            around=around,
            **options,
        )
        self._router.guard = self.guard

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the dependencies, the OpenAPI components and the check that the guard is there."""
        app_config.middleware.insert(0, _check_guarded)
        app_config.exception_handlers.setdefault(Refused, respond)
        for error in (TokenError, Unavailable):
            app_config.exception_handlers.setdefault(error, respond)
        dependencies: dict[str, Callable[..., Any]] = {
            "current": current,
            "current_or_none": current_or_none,
        }
        if self._load_user is not None:
            dependencies |= user_dependencies(self._load_user)
        for name, dependency in dependencies.items():
            app_config.dependencies.setdefault(name, Provide(dependency))
        prefix = self._session_prefix
        if app_config.openapi_config is not None:
            describe_security(app_config.openapi_config, prefix)
            if prefix is not None:
                app_config.route_handlers.extend(session_handlers(prefix, moves=self._moves))
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Put the guard around the router with the first route; describe each route."""
        for handler, _ in handlers_of(route):
            self._router.surround(handler.app)
            describe_route(route, handler)

    def _collect(self) -> tuple[Sequence[RouteRule], Sequence[str]]:
        app = self._router.app
        return ([], []) if app is None else marked_routes(app, public_docs=self._public_docs)

    def _count_routes(self) -> int:
        app = self._router.app
        if app is None:
            return 0
        return sum(1 for route in app.routes for _ in handlers_of(route))


class _GuardedRouter:
    """Stands in the place of a Litestar application's router, inside its CORS handling."""

    def __init__(self) -> None:
        self.guard: ASGIApp = self.serve
        self.app: Any = None
        self._router: Any = None

    def surround(self, app: Any) -> None:
        """Take the place of the router of `app`."""
        if self.app is None:
            self.app, self._router = app, app.asgi_router
            app.asgi_router = self
        elif self.app is not app:
            raise ConfigurationError(["a LinqiPlugin serves one Litestar; make one for each"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection through the guard."""
        await self.guard(scope, receive, send)

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Start the services of the guard, then the application."""
        await self.guard({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass what the guard let through to Litestar's own router."""
        if scope["type"] == "lifespan":
            await self._router.lifespan(receive=receive, send=send)
        else:
            await self._router(scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)


def _check_guarded(app: Any) -> Any:
    """Return `app` behind a check that no request reaches a route past the guard."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        caller_of(scope)
        await app(scope, receive, send)

    return serve
