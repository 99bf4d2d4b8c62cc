"""The routes of a Starlette application as rules, in the order in which it tries them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from starlette.applications import Starlette
from starlette.convertors import (
    FloatConvertor,
    IntegerConvertor,
    StringConvertor,
    UUIDConvertor,
)
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute

from linqi.asgi._http import Access
from linqi.asgi.route_marks import access_of
from linqi.asgi.route_table import ANY_METHOD, WEBSOCKET, RouteRule, RouteTable

__all__ = ["Flatten", "RouteCollector", "Vet", "marked_routes"]

Flatten: TypeAlias = Callable[[Sequence[BaseRoute]], Iterable[tuple[BaseRoute, Any]]]
"""Yields each route, and the object that has its path as it is served."""

Vet: TypeAlias = Callable[[Any, Access], Access | str]
"""Returns what a route requires, or what is wrong with its mark."""

_START: Final = "^"
_ONE_SEGMENT: Final = (StringConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor)
_REST: Final = re.compile(r"/\(\?P<path>\.\*\)\$$")


def marked_routes(app: Starlette) -> RouteTable:
    """Return the routes of `app`, for ``JWTMiddleware(marked=...)``; marks open some of them.

    Raises:
        ConfigurationError: Marks contradict their routes; all of them are named.

    """
    collector = RouteCollector(app)
    return RouteTable(collector.collect, collector.version)


class RouteCollector:
    """Collects the routes of an application, of its routers and of the applications mounted in it.

    Args:
        app: The application.
        flatten: Resolves the routers that a framework includes.
        vet: Judges the mark of a route.

    """

    def __init__(
        self, app: Starlette, flatten: Flatten | None = None, vet: Vet | None = None
    ) -> None:
        self._app = app
        self._flatten = flatten or _each_itself
        self._vet = vet
        self._lists: list[Sequence[BaseRoute]] = []

    def collect(self) -> tuple[list[RouteRule], list[str]]:
        """Return the rules of all routes, and the faults of their marks."""
        walk = self._walk()
        return [rule for rule, _ in walk.found] + walk.redirects, walk.faults

    def pairs(self) -> list[tuple[RouteRule, Any]]:
        """Return each rule with its route as it is served."""
        return self._walk().found

    def version(self) -> object:
        """Return a value that changes when a route is added."""
        return tuple(map(len, self._lists))

    def _walk(self) -> _Walk:
        walk = _Walk(self._flatten, self._vet)
        walk.add(self._app.routes, "", "")
        self._lists = walk.lists
        return walk


class _Walk:
    """One pass over all routes."""

    def __init__(self, flatten: Flatten, vet: Vet | None) -> None:
        self._flatten = flatten
        self._vet = vet
        self._hidden = ""
        self.found: list[tuple[RouteRule, Any]] = []
        self.redirects: list[RouteRule] = []
        self.faults: list[str] = []
        self.lists: list[Sequence[BaseRoute]] = []

    def add(self, routes: Sequence[BaseRoute], pattern: str, path: str) -> None:
        """Add `routes` below a mount of this `pattern` and `path`."""
        self._remember(routes)
        for route, served in self._flatten(routes):
            if _matches_otherwise(route):
                self._hidden = type(route).__name__
            if isinstance(route, Route | WebSocketRoute):
                self._add_route(route, served, pattern, path)
            elif isinstance(route, Mount):
                self._add_mount(route, served, pattern, path)
            elif isinstance(route, Host):
                self._hide(route, f"Host({route.host!r})", _app_of(route), pattern, path)
            else:
                self._hidden = type(route).__name__

    def _remember(self, routes: Sequence[BaseRoute]) -> None:
        """Keep the lists that may grow: those of included routers too (FastAPI)."""
        self.lists.append(routes)
        for route in routes:
            included = getattr(route, "original_router", None)
            if included is not None:
                self._remember(included.routes)

    def _add_route(
        self, route: Route | WebSocketRoute, served: Any, pattern: str, path: str
    ) -> None:
        methods = _methods(route, served)
        name = f"{' '.join(sorted(methods))} {path}{served.path}"
        whole = pattern + _inner(served.path_regex.pattern)
        access = self._access(name, served, route, route.endpoint)
        rule = RouteRule(access=access, methods=methods, pattern=whole, name=name)
        self.found.append((rule, served))
        if access is not Access.GUARDED and not pattern and served.path != "/":
            self.redirects.append(_redirect(rule))

    def _add_mount(self, mount: Mount, served: Any, pattern: str, path: str) -> None:
        name = f"mount {path}{served.path}"
        below = pattern + _REST.sub("", served.path_regex.pattern).removeprefix(_START)
        app = _app_of(mount)
        access = self._access(name, served, mount, app)
        if access is Access.GUARDED and isinstance(app, Starlette | Router):
            if getattr(app, "root_path", ""):
                self._hide(mount, f"{name}, whose root_path is set", app, below, served.path)
            elif _takes_several_segments(served):
                reason = f"{name}, whose parameter may take several segments"
                self._hide(mount, reason, app, below, served.path)
            else:
                self.add(app.routes, below, f"{path}{served.path}")
        rule = RouteRule(access=access, methods=None, pattern=f"{below}/.*", name=name)
        self.found.append((rule, served))

    def _hide(self, route: Any, name: str, app: Any, pattern: str, path: str) -> None:
        """Guard routes whose requests a path alone does not tell; marks in them are faults."""
        inner = _Walk(self._flatten, None)
        if isinstance(app, Starlette | Router):
            inner.add(app.routes, pattern, path)
        elif isinstance(route, Host):
            self._hidden = name
        for rule, served in inner.found:
            if rule.access is not Access.GUARDED:
                self.faults.append(f"{rule.name} is marked {rule.access.value} below {name}")
            self.found.append((_guarded(rule), served))
        self.lists += inner.lists

    def _access(self, name: str, served: Any, *marked: object) -> Access:
        """Return what the marks of a route require; a mark with a fault opens nothing."""
        found = {access for access, _ in map(access_of, marked)} - {Access.GUARDED}
        faults = [fault for _, fault in map(access_of, marked) if fault is not None]
        if len(found) > 1:
            faults.append("is marked public and optional; choose one")
        access = found.pop() if len(found) == 1 else Access.GUARDED
        if not faults and self._vet is not None:
            vetted = self._vet(served, access)
            if isinstance(vetted, Access):
                access = vetted
            else:
                faults.append(vetted)
        if access is not Access.GUARDED and self._hidden:
            faults.append(
                f"is marked {access.value} after {self._hidden}, which may serve its path; move it"
                " before"
            )
        self.faults += [f"{name} {fault}" for fault in faults]
        return Access.GUARDED if faults else access


def _each_itself(routes: Sequence[BaseRoute]) -> Iterator[tuple[BaseRoute, Any]]:
    for route in routes:
        yield route, route


def _matches_otherwise(route: BaseRoute) -> bool:
    """Return whether the class of `route` decides by more than its path and methods."""
    module: str = getattr(type(route).matches, "__module__", "")
    return not module.startswith(("starlette.", "fastapi."))


def _takes_several_segments(mount: Any) -> bool:
    """Return whether a mount reads its prefix greedily: a path alone does not tell its end."""
    own = {name: each for name, each in mount.param_convertors.items() if name != "path"}
    return any(type(each) not in _ONE_SEGMENT for each in own.values())


def _methods(route: BaseRoute, served: Any) -> frozenset[str]:
    if isinstance(route, WebSocketRoute):
        return frozenset({WEBSOCKET})
    return frozenset(served.methods or {ANY_METHOD})


def _inner(pattern: str) -> str:
    return pattern.removeprefix(_START).removesuffix("$")


def _app_of(route: Mount | Host) -> Any:
    """Return the application that is mounted, below the middleware of the mount itself."""
    return getattr(route, "_base_app", route.app)


def _redirect(rule: RouteRule) -> RouteRule:
    """Return the rule of the other spelling of a final slash, which the router redirects."""
    pattern = rule.pattern[:-1] if rule.pattern.endswith("/") else f"{rule.pattern}/"
    return RouteRule(
        access=rule.access, methods=rule.methods, pattern=pattern, name=f"{rule.name} (redirect)"
    )


def _guarded(rule: RouteRule) -> RouteRule:
    return RouteRule(
        access=Access.GUARDED, methods=rule.methods, pattern=rule.pattern, name=rule.name
    )
