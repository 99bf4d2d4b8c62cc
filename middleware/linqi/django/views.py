"""Who calls a Django view, and what the token allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from linqi.asgi.caller import caller_of, refusal_of
from linqi.asgi.guards import check_scopes
from linqi.asgi.refusals import Refusal, refusal_for
from linqi.asgi.route_marks import mark_scopes
from linqi.errors import ConfigurationError
from linqi.jose.verified import Verified

__all__ = ["RefusedRequest", "current", "current_or_none", "requires", "response_of"]

_View = TypeVar("_View", bound=Callable[..., Any])
_WITHOUT_ASGI = (
    "linqi needs ASGI, and this request came by WSGI: serve asgi.py (uvicorn, hypercorn, daphne),"
    " put 'daphne' first in INSTALLED_APPS for runserver, and use linqi.django.testing.AsyncClient"
    " in tests"
)
_WITHOUT_GUARD = (
    "JWTMiddleware is not around this Django application: asgi.py needs"
    " application = linqi.django.protect(get_asgi_application(), ...), and tests need"
    " linqi.django.testing.AsyncClient instead of django.test.AsyncClient"
)


class RefusedRequest(Exception):
    """A request that is refused in a view, with its whole response; `LinqiMiddleware` sends it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"refused with {refusal.status}")
        self.refusal = refusal


def current(request: HttpRequest) -> Verified:
    """Return the verified caller.

    Raises:
        RefusedRequest: The request has no token: 401 with a challenge.
        ImproperlyConfigured: No `JWTMiddleware` is around the application.

    """
    verified = current_or_none(request)
    if verified is None:
        raise RefusedRequest(refusal_for(request.scope, None))
    return verified


def current_or_none(request: HttpRequest) -> Verified | None:
    """Return the verified caller, None on a public or optional path without a token.

    Raises:
        ImproperlyConfigured: No `JWTMiddleware` is around the application.

    """
    scope = getattr(request, "scope", None)
    if scope is None:
        raise ImproperlyConfigured(_WITHOUT_ASGI)
    try:
        return caller_of(scope)
    except ConfigurationError as error:
        raise ImproperlyConfigured(_WITHOUT_GUARD) from error


def requires(*scopes: str) -> Callable[[_View], _View]:
    """Return a decorator of views that passes only tokens with all `scopes`.

    Without a token the answer is 401, with too few scopes 403 ``insufficient_scope``; both with
    the challenge of RFC 6750. Views may be plain or async; for a class use
    ``method_decorator(requires(...), name="dispatch")``.

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    check_scopes("requires(...)", scopes)

    def decorate(view: _View) -> _View:
        guarded = (
            _async_guarded(view, scopes) if iscoroutinefunction(view) else _guarded(view, scopes)
        )
        mark_scopes(guarded, scopes)
        return guarded  # type: ignore[return-value]

    return decorate


def response_of(refusal: Refusal) -> HttpResponse:
    """Return `refusal` as a response of Django."""
    response = HttpResponse(refusal.body, status=refusal.status)
    for name, value in refusal.headers:
        response.headers[name.decode()] = value.decode()
    return response


def _guarded(view: Callable[..., Any], scopes: tuple[str, ...]) -> Callable[..., Any]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _refused(request, scopes) or view(request, *args, **kwargs)

    return guarded


def _async_guarded(view: Callable[..., Any], scopes: tuple[str, ...]) -> Callable[..., Any]:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _refused(request, scopes) or await view(request, *args, **kwargs)

    return guarded


def _refused(request: HttpRequest, scopes: tuple[str, ...]) -> HttpResponse | None:
    current_or_none(request)  # says what is missing where it is not known who calls
    refusal = refusal_of(request.scope, *scopes)
    return None if refusal is None else response_of(refusal)
