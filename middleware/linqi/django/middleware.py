"""The Django middleware that reads the verified caller into `request.user`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from linqi.asgi.refusals import refusal_for
from linqi.django.conf import DjangoSettings, read_settings
from linqi.django.users import aload_user, load_user
from linqi.django.views import RefusedRequest, current_or_none, response_of
from linqi.errors import TokenError, Unavailable
from linqi.jose.verified import Verified

__all__ = ["LinqiMiddleware"]

_USER = "_linqi_user"
_WITHOUT_ASGI = (
    "linqi.django.LinqiMiddleware needs ASGI, and {handler} serves WSGI: nothing would verify the"
    " tokens. Serve asgi.py (uvicorn, hypercorn, granian, daphne); put 'daphne' first in"
    " INSTALLED_APPS for runserver; use linqi.django.testing.AsyncClient in tests."
)


class LinqiMiddleware:
    """Sets `request.linqi`, `request.user` and `request.auser` from the verified token.

    It verifies nothing: `JWTMiddleware` around the ASGI application does. Put it after
    ``AuthenticationMiddleware`` if the project has that: a request with a token has the token's
    user, another one keeps the user of Django's own session.

    `request.user` is loaded when it is first read, once per request; in async views use
    ``await request.auser()``. A request whose token came in the ``Authorization`` header needs no
    CSRF token, because no other site can send that header.

    Raises:
        ImproperlyConfigured: The project is served by WSGI, or the setting ``LINQI`` is wrong.

    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        handler = _handler_of(get_response)
        if _is_wsgi(handler):
            raise ImproperlyConfigured(_WITHOUT_ASGI.format(handler=type(handler).__name__))
        self.get_response = get_response
        self._settings = read_settings()
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response, or its awaitable where Django runs the middleware as async."""
        verified = current_or_none(request)
        request.linqi = verified
        if verified is not None:
            self._sign_in(request, verified)
        elif not hasattr(request, "user"):
            request.user = SimpleLazyObject(_anonymous)
            request.auser = _aanonymous
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the response of a view that raised `RefusedRequest`, or an error of linqi.

        A view that reads claims of another form (`Verified.read`) refuses the token, and a
        ``LOAD_USER`` whose database is away answers 503.
        """
        if isinstance(exception, RefusedRequest):
            return response_of(exception.refusal)
        if isinstance(exception, TokenError | Unavailable):
            return response_of(refusal_for(request.scope, exception))
        return None

    def _sign_in(self, request: Any, verified: Verified) -> None:
        request.user = SimpleLazyObject(partial(_user, request, verified, self._settings))
        request.auser = partial(_auser, request, verified, self._settings)
        if _is_by_header(request.scope, verified):
            request._dont_enforce_csrf_checks = True


def _user(request: Any, verified: Verified, settings: DjangoSettings) -> Any:
    if not hasattr(request, _USER):
        setattr(request, _USER, load_user(verified, settings))
    return getattr(request, _USER)


async def _auser(request: Any, verified: Verified, settings: DjangoSettings) -> Any:
    if not hasattr(request, _USER):
        setattr(request, _USER, await aload_user(verified, settings))
    return getattr(request, _USER)


def _anonymous() -> Any:
    from django.contrib.auth.models import AnonymousUser  # needs the project's settings

    return AnonymousUser()


async def _aanonymous() -> Any:
    return _anonymous()


def _is_by_header(scope: Any, verified: Verified) -> bool:
    """Return whether the verified token came in ``Authorization``, not in a cookie."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            token = bytes(value).partition(b" ")[2].strip()
            return hashlib.sha256(token).digest() == verified.digest
    return False


def _is_wsgi(handler: object) -> bool:
    """Return whether `handler` serves WSGI; that of Django's sync test client does."""
    names = {cls.__name__ for cls in type(handler).__mro__}  # django.test is slow to import
    return isinstance(handler, WSGIHandler) or "ClientHandler" in names


def _handler_of(get_response: Any) -> object:
    """Return the handler to which `get_response` leads, through other middleware, if found."""
    found = get_response
    for _ in range(200):
        if hasattr(found, "__self__"):
            return found.__self__
        for name in ("__wrapped__", "get_response", "func", "awaitable"):
            if (inner := getattr(found, name, None)) is not None:
                found = inner
                break
        else:
            return None
    return None
