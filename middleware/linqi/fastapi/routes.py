"""The routes of a FastAPI application as rules, and what their dependencies need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi import FastAPI, routing
from fastapi.dependencies.models import Dependant
from starlette.routing import BaseRoute

from linqi.asgi._http import Access, Scope
from linqi.asgi.route_table import RouteTable
from linqi.fastapi.dependencies import RequiredScopes, current, current_or_none
from linqi.starlette.routes import RouteCollector

__all__ = ["MarkedRoutes", "marked_routes", "scopes_of"]


class MarkedRoutes(RouteTable):
    """The routes of a FastAPI application, for the middleware and for the document.

    Attributes:
        collector: Collects them.

    """

    def __init__(self, app: FastAPI, collector: RouteCollector) -> None:
        super().__init__(collector.collect, collector.version)
        self.collector = collector
        self._app = app

    def access(self, scope: Scope) -> Access:
        """Return what the request requires; ``FastAPI(root_path=...)`` replaces the server's."""
        root = self._app.root_path
        if root and scope.get("root_path", "") != root:
            scope = {**scope, "root_path": root}
        return super().access(scope)


def marked_routes(app: FastAPI) -> MarkedRoutes:
    """Return the routes of `app`, for ``JWTMiddleware(marked=...)`` and `document`.

    A route is opened by `public` or `optional` beside it, or by
    ``openapi_extra={"security": []}``, which says in OpenAPI that it needs no token.

    Raises:
        ConfigurationError: Marks contradict their routes; all of them are named.

    """
    return MarkedRoutes(app, RouteCollector(app, _flatten, _vet))


def scopes_of(served: Any) -> tuple[str, ...]:
    """Return the scopes that the dependencies of a route require, sorted."""
    found: set[str] = set()
    for each in _dependencies(served):
        if isinstance(each.call, RequiredScopes):
            found.update(each.call.scopes)
        elif each.call is current:
            found.update(_security_scopes(each))
    return tuple(sorted(found))


def _security_scopes(dependant: Any) -> Iterable[str]:
    """Return the scopes of ``Security(current, scopes=...)``, whichever release of FastAPI."""
    names = ("own_oauth_scopes", "parent_oauth_scopes", "security_scopes")
    return [scope for name in names for scope in getattr(dependant, name, None) or ()]


def _flatten(routes: Sequence[BaseRoute]) -> Iterator[tuple[BaseRoute, Any]]:
    """Yield each route with its path below the routers that include it."""
    contexts = getattr(routing, "iter_route_contexts", None)
    if contexts is None:  # older releases copy the routes of a router that they include
        yield from ((route, route) for route in routes)
        return
    for context in contexts(routes):
        yield context.original_route, context


def _vet(served: Any, access: Access) -> Access | str:
    extra = getattr(served, "openapi_extra", None) or {}
    if extra.get("security") == [] and access is Access.GUARDED:
        access = Access.PUBLIC
    if access is not Access.PUBLIC:
        return access
    used = {_name(each.call) for each in _dependencies(served) if _is_ours(each.call)}
    if not used:
        return access
    return (
        f"is marked public, where no token is looked at, but depends on {', '.join(sorted(used))};"
        " mark it optional, or remove the mark"
    )


def _dependencies(served: Any) -> Iterator[Dependant]:
    """Yield all dependencies of a route, those of dependencies too."""
    dependant = getattr(served, "dependant", None)
    waiting = [] if dependant is None else list(dependant.dependencies)
    while waiting:
        each = waiting.pop()
        yield each
        waiting += each.dependencies


def _is_ours(call: Any) -> bool:
    return call is current or call is current_or_none or isinstance(call, RequiredScopes)


def _name(call: Any) -> str:
    return "requires(...)" if isinstance(call, RequiredScopes) else str(call.__name__)
