"""The routes of an application in the order in which it tries them, and what each requires."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from linqi.asgi._http import Access, PathRules, Scope, is_misplaced, is_odd, route_path
from linqi.errors import ConfigurationError
from linqi.events import Event, TokenRefused

__all__ = ["ANY_METHOD", "WEBSOCKET", "Collect", "RouteRule", "RouteTable", "Rules", "pattern_of"]

_logger = logging.getLogger("linqi")
WEBSOCKET: Final = "WEBSOCKET"
"""Stands for a method in the rule of a WebSocket route."""
ANY_METHOD: Final = "*"
"""Stands for every HTTP method in the rule of a route that takes all of them."""
_SEGMENTS: Final = {
    "": "[^/]+",
    "str": "[^/]+",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
    "path": ".*",
}
_PARAMETER: Final = re.compile(r"\{\w+(?::(\w+))?\}")
_NAMED_GROUP: Final = re.compile(r"\(\?P<\w+>")
_LITERAL: Final = re.compile(r"(?:[^\\.^$*+?{}\[\]|()]|\\\W)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """What one route requires.

    Attributes:
        access: What it requires of a request.
        methods: Its methods in upper case; ``{"WEBSOCKET"}`` for a WebSocket, ``{"*"}`` for every
            HTTP method, None for both.
        pattern: A regular expression that the whole path below ``root_path`` matches.
        name: Names the route in messages, such as ``GET /items/{id}``.

    """

    access: Access
    methods: frozenset[str] | None
    pattern: str
    name: str


Collect: TypeAlias = Callable[[], tuple[Sequence[RouteRule], Sequence[str]]]
"""Returns every route of an application in the order in which it tries them, the guarded ones too,
and the faults of their marks. A route with a fault is returned as guarded."""


class Rules(Protocol):
    """Decides what a request requires."""

    is_empty: bool

    def access(self, scope: Scope) -> Access:
        """Return what the request of `scope` requires."""
        ...


class RouteTable:
    """The routes that an application marked as public or optional, beside all its other routes.

    A request requires what the first route requires that fits its method and path; a path that no
    route fits is guarded, and so is one that several programs could read differently (`PathRules`).

    The routes are collected at construction, again when the server starts and at the first request,
    so that the order of declarations and of the middleware does not matter. From then on no further
    route is opened: one that is marked later stays guarded, and the log names it.

    Args:
        collect: Returns the routes.
        version: Returns a value that changes when routes are added; None if they never are.

    Attributes:
        paths: What the operator opened besides.

    Raises:
        ConfigurationError: Marks contradict their routes; all of them are named.

    """

    def __init__(self, collect: Collect, version: Callable[[], object] | None = None) -> None:
        self._collect = collect
        self._version = version
        self.paths = PathRules()
        self._seen: object = None
        self._opened: frozenset[str] | None = None  # None: before the first request
        self._compiled = _Compiled(self._checked())
        self.is_empty = False

    def beside(self, paths: PathRules) -> RouteTable:
        """Return this table, which from now on opens the `paths` of the operator too."""
        self.paths = paths
        return self

    async def start(self) -> None:
        """Collect the routes that were added since construction.

        Raises:
            ConfigurationError: As at construction.

        """
        if self._opened is None:
            self._compiled = _Compiled(self._checked())

    async def close(self) -> None:
        """Do nothing."""

    def access(self, scope: Scope) -> Access:
        """Return what the request of `scope` requires."""
        found = self.paths.access(scope)
        if found is not Access.GUARDED:
            return found
        if self._opened is None:
            self._freeze()
        path = route_path(scope)
        if not self._compiled.may_open(path) or is_odd(path, scope.get("raw_path")):
            return Access.GUARDED
        if is_misplaced(path, scope):
            return Access.GUARDED
        self._follow()
        return self._compiled.access(_method_of(scope), path)

    def notice(self, event: Event) -> None:
        """Look for routes that were marked too late, where a request without a token is refused."""
        if isinstance(event, TokenRefused) and event.code == "no_token":
            self._follow()

    def _checked(self) -> Sequence[RouteRule]:
        rules, faults = self._collect()
        if faults:
            raise ConfigurationError(list(faults))
        return rules

    def _freeze(self) -> None:
        """Collect the routes for the last time, after the application has started."""
        self._seen = self._version and self._version()
        rules, faults = self._collect()
        for fault in faults:
            _logger.error("%s; the route is guarded", fault)
        self._opened = frozenset(rule.name for rule in rules if rule.access is not Access.GUARDED)
        self._compiled = _Compiled(rules)

    def _follow(self) -> None:
        """Collect the routes again if there are new ones, and open none of them."""
        version = self._version and self._version()
        if self._opened is None or version == self._seen:
            return
        self._seen = version
        rules = []
        for rule in self._collect()[0]:
            if rule.access is not Access.GUARDED and rule.name not in self._opened:
                _logger.error(
                    "%s is marked %s, but was added after the first request: it is guarded; add"
                    " routes before the application serves",
                    rule.name,
                    rule.access.value,
                )
                rule = _guarded(rule)
            rules.append(rule)
        self._compiled = _Compiled(rules)


class _Compiled:
    """Rules as few regular expressions."""

    def __init__(self, rules: Sequence[RouteRule]) -> None:
        opened = [rule for rule in rules if rule.access is not Access.GUARDED]
        patterns = {rule.pattern for rule in opened}
        literals = {found for pattern in patterns if (found := _literal(pattern)) is not None}
        others = [pattern for pattern in sorted(patterns) if _literal(pattern) is None]
        self._exact = frozenset(literals)
        self._others = re.compile("|".join(map(_unnamed, others))) if others else None
        methods = {method for rule in rules for method in rule.methods or ()}
        methods |= {ANY_METHOD, WEBSOCKET}
        self._by_method = {method: _Ordered(_of(rules, method)) for method in methods}

    def may_open(self, path: str) -> bool:
        """Return whether a marked route has this path; most requests end here."""
        if path in self._exact:
            return True
        return self._others is not None and self._others.fullmatch(path) is not None

    def access(self, method: str, path: str) -> Access:
        """Return what the first route requires that fits."""
        found = self._by_method.get(method) or self._by_method[ANY_METHOD]
        return found.access(path)


class _Ordered:
    """The rules of one method, tried in their order."""

    def __init__(self, rules: Sequence[RouteRule]) -> None:
        self._access: dict[int, Access] = {}
        parts, groups = [], 0
        for rule in rules:
            pattern = _unnamed(rule.pattern)
            inner = re.compile(pattern).groups
            groups += 1
            self._access[groups] = rule.access
            groups += inner
            parts.append(f"({pattern})")
        self._pattern = re.compile("|".join(parts)) if parts else None

    def access(self, path: str) -> Access:
        """Return what the first rule requires that fits `path`."""
        found = None if self._pattern is None else self._pattern.fullmatch(path)
        if found is None or found.lastindex is None:
            return Access.GUARDED
        return self._access[found.lastindex]  # the outermost group is the last that closes


def pattern_of(template: str) -> str:
    """Return the pattern of a path such as ``/items/{id}`` or ``/files/{name:path}``.

    Raises:
        ConfigurationError: The kind of a parameter is none of str, int, float, uuid and path.

    """
    parts, end = [], 0
    for found in _PARAMETER.finditer(template):
        kind = found[1] or ""
        if kind not in _SEGMENTS:
            known = ", ".join(filter(None, _SEGMENTS))
            raise ConfigurationError(
                [f"the path {template!r} has a parameter of kind {kind!r}, expected {known}"]
            )
        parts += [re.escape(template[end : found.start()]), _SEGMENTS[kind]]
        end = found.end()
    return "".join([*parts, re.escape(template[end:])])


def _method_of(scope: Scope) -> str:
    """Return the method as rules name it: an HTTP method of a client is never `WEBSOCKET`."""
    if scope["type"] == "websocket":
        return WEBSOCKET
    method: str = scope["method"]
    return ANY_METHOD if method == WEBSOCKET else method


def _of(rules: Iterable[RouteRule], method: str) -> Sequence[RouteRule]:
    """Return the rules for `method`, up to the last that opens something."""
    names = {method} if method == WEBSOCKET else {method, ANY_METHOD}
    found = [rule for rule in rules if rule.methods is None or names & rule.methods]
    while found and found[-1].access is Access.GUARDED:
        found.pop()
    return found


def _guarded(rule: RouteRule) -> RouteRule:
    return RouteRule(
        access=Access.GUARDED, methods=rule.methods, pattern=rule.pattern, name=rule.name
    )


def _unnamed(pattern: str) -> str:
    """Return `pattern` without the names of its groups, which several routes may share."""
    return f"(?:{_NAMED_GROUP.sub('(?:', pattern)})"


def _literal(pattern: str) -> str | None:
    """Return the one path that matches `pattern`; None if there are several."""
    if _LITERAL.fullmatch(pattern) is None:
        return None
    return re.sub(r"\\(.)", r"\1", pattern)
