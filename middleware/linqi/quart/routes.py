"""The routes of a Quart application, and which of them are marked public or optional."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from quart import Quart

from linqi.asgi._http import Access
from linqi.asgi.route_marks import access_of
from linqi.asgi.route_table import WEBSOCKET, RouteRule

__all__ = ["count_routes", "marked_routes"]


def marked_routes(app: Quart) -> tuple[Sequence[RouteRule], Sequence[str]]:
    """Return every route of `app` in the order in which werkzeug tries them, and the faults.

    A route is public or optional by `linqi.quart.public` or `optional` below its decorator.
    """
    faults: list[str] = []
    found: list[tuple[tuple[Any, ...], RouteRule]] = []
    for rule in app.url_map.iter_rules():
        methods = {WEBSOCKET} if rule.websocket else rule.methods
        name = f"{','.join(sorted(methods or ()))} {rule.rule}"
        access, fault = access_of(app.view_functions.get(rule.endpoint))
        by_host = app.url_map.host_matching or app.subdomain_matching
        if fault is None and access is not Access.GUARDED and by_host:
            fault = "is marked, but hosts are matched too (host_matching, subdomain_matching)"
            access = Access.GUARDED
        if fault is not None:
            faults.append(f"{name} {fault}")
        parts = _path_parts(rule)
        made = RouteRule(
            access=access,
            methods=None if methods is None else frozenset(methods),
            pattern="/".join(_pattern(part) for part in parts),
            name=name,
        )
        found.append((tuple(_order(part) for part in parts), made))
    found.sort(key=lambda one: one[0])
    return [rule for _, rule in found], faults


def count_routes(app: Quart) -> int:
    """Return how many routes `app` has."""
    return sum(1 for _ in app.url_map.iter_rules())


def _path_parts(rule: Any) -> list[Any]:
    """Return the parts of the path that werkzeug's matcher compares, one for each segment."""
    parts = list(rule._parts)[1:]  # the first is the host
    return parts[:-1] if len(parts) > 1 and parts[-2].suffixed else parts


def _pattern(part: Any) -> str:
    content: str = part.content
    return re.escape(content) if part.static else content.removesuffix(r"\Z")


def _order(part: Any) -> tuple[Any, ...]:
    """Return the place of `part` among its alternatives: literal text first, then by weight."""
    return (0,) if part.static else (1, part.weight)
