"""The URL patterns of a Django project, and which of them are marked public or optional."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import (
    IntConverter,
    PathConverter,
    SlugConverter,
    StringConverter,
    UUIDConverter,
)
from django.urls.resolvers import RegexPattern, RoutePattern

from linqi.asgi._http import Access
from linqi.asgi.route_marks import access_of
from linqi.asgi.route_table import RouteRule

__all__ = ["marked_routes"]

_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"}
)
"""Named, because views serve HTTP only: a mark opens no WebSocket of the same path."""
_CONVERTERS: Final = (
    StringConverter,
    IntConverter,
    SlugConverter,
    UUIDConverter,
    PathConverter,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """The regular expression of one pattern.

    Attributes:
        broad: Matches all that the pattern may match; guards.
        narrow: Matches only what the pattern is sure to match; opens.
        fault: Why no such `narrow` exists.

    """

    broad: str
    narrow: str
    fault: str | None = None


def marked_routes(urlconf: Any = None) -> tuple[Sequence[RouteRule], Sequence[str]]:
    """Return every URL pattern of the project in Django's order, and the faults of the marks.

    A view is public or optional by `linqi.django.public` or `optional`.

    Args:
        urlconf: The URL configuration; that of the setting ``ROOT_URLCONF`` by default.

    """
    rules: list[RouteRule] = []
    faults: list[str] = []
    for pieces, text, view in _views(get_resolver(urlconf).url_patterns, (), ""):
        access, fault = access_of(view)
        if fault is None and access is not Access.GUARDED:
            fault = next((piece.fault for piece in pieces if piece.fault is not None), None)
            fault = fault or _fault_of_mark(view)
        name = f"/{text}"
        if fault is not None:
            access = Access.GUARDED
            faults.append(f"the view of {name} {fault}")
        parts = (one.broad if access is Access.GUARDED else one.narrow for one in pieces)
        pattern = "/" + "".join(parts)
        rules.append(RouteRule(access=access, methods=_METHODS, pattern=pattern, name=name))
    return rules, faults


def _fault_of_mark(view: Any) -> str | None:
    """Return why the mark of `view` opens nothing, if that is not for its path."""
    if settings.FORCE_SCRIPT_NAME:
        return (
            "is marked, but FORCE_SCRIPT_NAME changes the paths that Django sees; give the server"
            " a root_path instead, or name its path in public"
        )
    cls = getattr(view, "view_class", None)
    dispatch = getattr(cls, "dispatch", None)
    if cls is None or "dispatch" in vars(cls) or access_of(dispatch) == (Access.GUARDED, None):
        return None
    return f"inherits the mark of dispatch in a base of {cls.__name__}; mark each class of its own"


def _views(
    patterns: Sequence[Any], before: tuple[_Piece, ...], text: str
) -> Iterator[tuple[tuple[_Piece, ...], str, Any]]:
    for one in patterns:
        pieces = (*before, _piece(one.pattern, is_last=isinstance(one, URLPattern)))
        path = text + str(one.pattern)
        if isinstance(one, URLPattern):
            yield pieces, path, one.callback
        elif isinstance(one, URLResolver):
            yield from _views(one.url_patterns, pieces, path)


def _piece(pattern: Any, *, is_last: bool) -> _Piece:
    made = None
    if isinstance(pattern, RoutePattern):
        made = _route_piece(pattern)
    elif isinstance(pattern, RegexPattern):
        made = _regex_piece(pattern, is_last=is_last)
    if made is not None and _is_translated(pattern):
        fault = "is below a path that is translated; name its paths in public"
        return _Piece(broad=".*?", narrow="", fault=fault)
    if made is not None:
        # Django never tries a shorter prefix once the patterns below it do not fit.
        narrow = made.narrow if is_last else f"(?>{made.narrow})"
        return _Piece(broad=made.broad, narrow=narrow, fault=made.fault)
    fault = "is below a prefix that depends on the request (i18n_patterns); name its path in public"
    return _Piece(broad=".*?", narrow="", fault=fault)


def _is_translated(pattern: Any) -> bool:
    """Return whether the text of `pattern` depends on the language of the request."""
    text = pattern._route if isinstance(pattern, RoutePattern) else pattern._regex
    return not isinstance(text, str)


def _route_piece(pattern: RoutePattern) -> _Piece:
    fault = None
    for converter in pattern.converters.values():
        if type(converter) not in _CONVERTERS:
            fault = (
                f"has a converter of its own ({type(converter).__name__}); name its path in public"
            )
    if not pattern.converters:
        exact = re.escape(str(pattern))
        return _Piece(broad=exact, narrow=exact)
    broad = pattern.regex.pattern.removeprefix("^").removesuffix(r"\Z").removesuffix("$")
    # Python refuses integers of 4,300 digits, and Django then tries the next pattern.
    return _Piece(
        broad=broad, narrow=broad.replace("[0-9]+)", "[0-9]{1,18}(?![0-9]))"), fault=fault
    )


def _regex_piece(pattern: RegexPattern, *, is_last: bool) -> _Piece:
    """Return the piece of ``re_path``: Django searches it, so only anchors bind it."""
    text = pattern.regex.pattern
    fault = None
    if not text.startswith("^") or (is_last and not text.endswith(("$", r"\Z"))):
        fault = "has a regular expression that is not bound by ^ and $"
    elif "(?" in re.sub(r"\(\?P<\w+>|\(\?:", "", text) or re.search(r"\\[1-9]", text):
        fault = "has a regular expression with flags or references; name its path in public"
    body = text.removeprefix("^").removesuffix("$").removesuffix(r"\Z")
    return _Piece(broad=".*", narrow=f"(?:{body})", fault=fault)
