"""The routes of a Litestar application, and which of them are marked public or optional."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from litestar import Litestar
from litestar.routes import ASGIRoute, BaseRoute, HTTPRoute, WebSocketRoute

from linqi.asgi._http import Access
from linqi.asgi.route_table import WEBSOCKET, RouteRule
from linqi.litestar.callers import scopes_of

__all__ = ["handlers_of", "marked_routes"]

_MARKS: Final = {"public": Access.PUBLIC, "optional": Access.OPTIONAL}


def marked_routes(
    app: Litestar, *, public_docs: bool = False
) -> tuple[Sequence[RouteRule], Sequence[str]]:
    """Return every route of `app` in the order in which Litestar tries them, and the faults.

    A route is public or optional by ``public=True`` or ``optional=True`` in its decorator, which
    Litestar keeps in ``opt``; routers and controllers take ``opt={"public": True}``.

    Args:
        app: The application; all its routes are registered.
        public_docs: Whether the pages of the OpenAPI document are public.

    """
    docs = _docs_path(app) if public_docs else None
    found: list[tuple[tuple[Any, ...], RouteRule]] = []
    guarded = _guarded_shapes(app)
    endless = {_shape(route): route.path for route in app.routes if _is_endless(route)}
    faults: list[str] = []
    for route in app.routes:
        for handler, methods in handlers_of(route):
            name = _name(route, methods)
            access, fault = _access_of(handler)
            if access is not Access.GUARDED and (twin := guarded.get(_shape(route), methods)):
                fault = f"differs only in its parameters from {twin}, which is guarded"
            elif access is not Access.GUARDED and (taken := _taken_by(route, endless)):
                fault = f"is never reached: Litestar serves its paths by {taken}"
            if fault is not None:
                access = Access.GUARDED
                faults.append(f"{name} {fault}")
            if docs is not None and _is_below(route.path, docs) and not _is_described(handler):
                access = Access.PUBLIC
            pattern = _pattern(route)
            rule = RouteRule(access=access, methods=methods, pattern=pattern, name=name)
            found.append((_order(route, access), rule))
    found.sort(key=lambda one: one[0])
    return [rule for _, rule in found], faults


class _Shapes:
    """The guarded routes with parameters, which Litestar keeps by their segments alone."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[str, ...], str], str] = {}

    def add(self, shape: tuple[str, ...], methods: frozenset[str] | None, name: str) -> None:
        """Note a guarded route."""
        self._names.update({(shape, method): name for method in methods or ()})

    def get(self, shape: tuple[str, ...], methods: frozenset[str] | None) -> str | None:
        """Return the name of a guarded route of this shape and of one of `methods`."""
        found = (self._names.get((shape, method)) for method in methods or ())
        return next((name for name in found if name is not None), None)


def handlers_of(route: BaseRoute) -> Iterator[tuple[Any, frozenset[str] | None]]:
    """Yield the handlers of `route`, each with its methods; None stands for all methods."""
    if isinstance(route, HTTPRoute):
        by_handler: dict[int, tuple[Any, set[str]]] = {}
        for method, (handler, _) in route.route_handler_map.items():
            by_handler.setdefault(id(handler), (handler, set()))[1].add(str(method))
        for handler, methods in by_handler.values():
            yield handler, frozenset(methods)
    elif isinstance(route, WebSocketRoute):
        yield route.route_handler, frozenset({WEBSOCKET})
    elif isinstance(route, ASGIRoute):
        yield route.route_handler, None


def _access_of(handler: Any) -> tuple[Access, str | None]:
    """Return what the marks of `handler` open, and what is wrong with them."""
    opt: Mapping[str, Any] = handler.opt
    marks = [name for name in _MARKS if opt.get(name, False) is not False]
    for name in marks:
        if opt[name] is not True:
            return Access.GUARDED, f"has {name}={opt[name]!r}, expected True or False"
    if not marks:
        return Access.GUARDED, None
    if len(marks) > 1:
        return Access.GUARDED, "is marked public and optional; choose one"
    if marks == ["public"] and scopes_of(handler):
        return Access.GUARDED, "is marked public and requires scopes; remove one of them"
    return _MARKS[marks[0]], None


def _guarded_shapes(app: Litestar) -> _Shapes:
    shapes = _Shapes()
    for route in app.routes:
        for handler, methods in handlers_of(route):
            if route.path_parameters and _access_of(handler)[0] is Access.GUARDED:
                shapes.add(_shape(route), methods, _name(route, methods))
    return shapes


def _shape(route: BaseRoute) -> tuple[str, ...]:
    """Return the segments of the route's path, "" for a parameter of whatever kind."""
    return tuple(one if isinstance(one, str) else "" for one in route.path_components)


def _is_endless(route: BaseRoute) -> bool:
    """Return whether `route` ends in a parameter that takes all further segments."""
    last = route.path_components[-1] if route.path_components else ""
    return not isinstance(last, str) and last.full.endswith(":path")


def _taken_by(route: BaseRoute, endless: Mapping[tuple[str, ...], str]) -> str | None:
    """Return the path of the endless route of any method that hides `route`.

    Litestar keeps the parameters of one place together. If one of them is endless, the search ends
    there, with the handler of that place for the method, even that of another parameter.
    """
    shape = _shape(route)
    places = (shape[:length] for length in range(1, len(shape)))
    return next((endless[place] for place in places if place in endless), None)


def _order(route: BaseRoute, access: Access) -> tuple[Any, ...]:
    """Return the place of `route` among those that Litestar tries.

    Paths without parameters are first. Then Litestar prefers a mount or a route below it by rules
    of its own, so a guarded one of them comes first here. Among paths with parameters, a literal
    segment is tried before a parameter.
    """
    if _is_mount(route):
        return (1,) if access is Access.GUARDED else (3,)
    if not route.path_parameters:
        return (0,)
    return (2, *((0, one) if isinstance(one, str) else (1, "") for one in route.path_components))


def _pattern(route: BaseRoute) -> str:
    if _is_mount(route):  # "/static" is compared as a prefix of the text, as Litestar does
        return re.escape(route.path) + ".*"
    parts = []
    for one in route.path_components:
        if isinstance(one, str):
            parts.append(re.escape(one))
        else:
            parts.append(".+" if one.full.endswith(":path") else "[^/]+")
    # Litestar takes a slash off the end: "/a/" is served by "/a", not by "/{rest:path}".
    return "/" + "/".join(parts) + ("/?" if parts else "")


def _is_mount(route: BaseRoute) -> bool:
    return isinstance(route, ASGIRoute) and route.route_handler.is_mount


def _name(route: BaseRoute, methods: frozenset[str] | None) -> str:
    return f"{','.join(sorted(methods))} {route.path}" if methods else f"{route.path}"


def _is_described(handler: Any) -> bool:
    resolve = getattr(handler, "resolve_include_in_schema", None)
    return resolve is not None and bool(resolve())


def _docs_path(app: Litestar) -> str | None:
    return None if app.openapi_config is None else app.openapi_config.path or "/schema"


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")
