"""The Channels middleware that puts the Django user of the token into ``scope["user"]``."""

from __future__ import annotations

from typing import Any

from linqi.asgi.caller import caller_of
from linqi.django.conf import read_settings
from linqi.django.users import aload_user

__all__ = ["UserMiddleware"]


class UserMiddleware:
    """Puts the Django user into ``scope["user"]`` of consumers, AnonymousUser where there is none.

    It stands where ``AuthMiddlewareStack`` stood, around the ``URLRouter``: that one would read the
    user from Django's session, and cannot stand behind `JWTMiddleware`. The token remains in
    ``scope["linqi"]``, the guard of the socket in ``scope["linqi.socket"]``.

    Args:
        inner: The ASGI application behind it.

    Raises:
        ImproperlyConfigured: The setting ``LINQI`` is wrong.

    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._settings = read_settings()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Serve the connection with its user.

        Raises:
            ConfigurationError: No `JWTMiddleware` is around the application.

        """
        verified = caller_of(scope)
        if verified is None:
            from django.contrib.auth.models import AnonymousUser  # needs the project's settings

            user: Any = AnonymousUser()
        else:
            user = await aload_user(verified, self._settings)
        return await self.inner({**scope, "user": user}, receive, send)
