"""Who calls a Quart view, and what the token allows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NoReturn, TypeVar

from quart import Response, abort, current_app, has_websocket_context, request, websocket
from quart.utils import run_sync

from linqi.asgi._http import Scope
from linqi.asgi.caller import LoadUser, caller_of, loaded_user, refusal_of
from linqi.asgi.guards import check_scopes
from linqi.asgi.refusals import Refusal, refusal_for
from linqi.asgi.route_marks import mark_scopes
from linqi.errors import ConfigurationError, LinqiError, TokenError
from linqi.jose.verified import Verified

__all__ = [
    "EXTENSION",
    "current",
    "current_or_none",
    "refused",
    "requires",
    "user",
    "user_or_none",
]

_View = TypeVar("_View", bound=Callable[..., Any])
EXTENSION: Final = "linqi"
"""The key of the application's `load_user` in ``app.extensions``."""


def current() -> Verified:
    """Return the verified caller of the request or WebSocket; 401 where it has no token.

    Raises:
        ConfigurationError: No `JWTMiddleware` is around the application.

    """
    verified = current_or_none()
    if verified is None:
        _refuse(refusal_for(_scope(), None))
    return verified


def current_or_none() -> Verified | None:
    """Return the verified caller, None on a public or optional route without a token.

    Raises:
        ConfigurationError: No `JWTMiddleware` is around the application.

    """
    return caller_of(_scope())


async def user() -> Any:
    """Return what the `load_user` of `protect` returns for the caller; 401 where there is none.

    It is called once per request.

    Raises:
        ConfigurationError: `protect` was given no `load_user`.

    """
    current()
    return await user_or_none()


async def user_or_none() -> Any:
    """Return the application's own user, None where the request has no token.

    The answer is 401 ``invalid_token`` where `load_user` returns None for a verified token.

    Raises:
        ConfigurationError: `protect` was given no `load_user`.

    """
    load_user: LoadUser | None = current_app.extensions.get(EXTENSION)
    if load_user is None:
        raise ConfigurationError(["user() needs protect(app, ..., load_user=...)"])
    found = await loaded_user(_scope(), load_user)
    if found is None and current_or_none() is not None:
        _refuse(refusal_for(_scope(), TokenError("load_user knows no such user")))
    return found


def requires(*scopes: str) -> Callable[[_View], _View]:
    """Return a decorator of views that passes only tokens with all `scopes`.

    Without a token the answer is 401, with too few scopes 403 ``insufficient_scope``; both with
    the challenge of RFC 6750. Put it below the route's decorator.

    Raises:
        ConfigurationError: No scope is given, or one is not a scope name.

    """
    check_scopes("requires(...)", scopes)

    def decorate(view: _View) -> _View:
        run = view if inspect.iscoroutinefunction(view) else run_sync(view)

        @wraps(view)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            refusal = refusal_of(_scope(), *scopes)
            if refusal is not None:
                _refuse(refusal)
            return await run(*args, **kwargs)

        mark_scopes(guarded, scopes)
        return guarded  # type: ignore[return-value]

    return decorate


def _scope() -> Scope:
    connection: Any = websocket if has_websocket_context() else request
    scope: Scope = connection.scope
    return scope


async def refused(error: LinqiError) -> Response:
    """Return the response to an error of linqi that a view raised.

    A view that reads claims of another form (`Verified.read`) refuses the token, and a `load_user`
    whose database is away answers 503.
    """
    return _response(refusal_for(_scope(), error))


def _refuse(refusal: Refusal) -> NoReturn:
    abort(_response(refusal))


def _response(refusal: Refusal) -> Response:
    response = Response(refusal.body, status=refusal.status)
    for name, value in refusal.headers:
        response.headers[name.decode()] = value.decode()
    return response
