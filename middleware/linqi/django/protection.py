"""Puts `JWTMiddleware` around a Django application."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linqi.asgi.authentication import Authenticate, Person
from linqi.asgi.route_table import RouteTable
from linqi.config.builder import Components
from linqi.config.schema import Config
from linqi.config.wrapper import Around, wrap_marked
from linqi.django.conf import read_settings
from linqi.django.routes import marked_routes

__all__ = ["authenticate", "protect"]


def protect(
    application: Any,
    config: str | Path | Config | Components | None = None,
    *,
    authenticate: Authenticate | None = None,
    around: Around | None = None,
    **options: Any,
) -> Any:
    """Return `application` inside the middleware; assign it to ``application`` in ``asgi.py``.

    Args:
        application: What ``get_asgi_application()`` returned, or a ``ProtocolTypeRouter`` of
            Channels.
        config: As of `linqi.config.wrap`; ``linqi.toml`` by default.
        authenticate: Checks the credentials of a sign-in; it adds the session routes.
            `linqi.django.authenticate` checks those of Django's users.
        around: Builds the middleware by hand, instead of `config`: gets the application and the
            views that are marked public or optional, returns ``JWTMiddleware(..., marked=marked)``.
        options: The options of `linqi.config.build`, such as `authorize` and `hooks`.

    Raises:
        ConfigurationError: Every fault of the settings.

    """
    marked = RouteTable(marked_routes)
    return wrap_marked(
        application, marked, config, authenticate=authenticate, around=around, **options
    )


async def authenticate(form: Mapping[str, str]) -> Person | None:
    """Return the Django user whose name and password are in `form`, by the project's backends.

    The subject of the session is the user's ``USER_FIELD`` (``LINQI``), the primary key by default.
    The session has no scopes; write a function around this one that adds them.
    """
    from django.contrib.auth import aauthenticate  # needs the project's settings

    user = await aauthenticate(username=form["username"], password=form["password"])
    if user is None or not getattr(user, "is_active", True):
        return None
    return Person(subject=str(getattr(user, read_settings().user_field)))
