"""A test client of Django whose requests pass the guard of ``asgi.py``."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import AsyncClient as DjangoAsyncClient
from django.utils.module_loading import import_string

__all__ = ["AsyncClient"]


class AsyncClient(DjangoAsyncClient):  # type: ignore[misc]
    """`django.test.AsyncClient` through the whole ASGI application of the project.

    Django's own test clients call its handlers past ``asgi.py``, so that no guard sees the request.
    Everything else is as there: ``raise_request_exception``, cookies, templates and contexts. CSRF
    tokens are checked as in production.

    Args:
        application: The ASGI application; by default the one that ``ASGI_APPLICATION`` names.
        defaults: As of Django's client.

    Raises:
        ImproperlyConfigured: No application is given, and the setting is absent.

    """

    def __init__(self, application: Any = None, **defaults: Any) -> None:
        super().__init__(enforce_csrf_checks=True, **defaults)
        if application is None:
            named = getattr(settings, "ASGI_APPLICATION", None)
            if named is None:
                raise ImproperlyConfigured(
                    "ASGI_APPLICATION names no application, such as 'shop.asgi.application'"
                )
            application = import_string(named)
        self.app = application
        self.handler = _ApplicationHandler(application)


class _ApplicationHandler:
    """Calls an ASGI application as Django's client calls its own handler."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any]) -> HttpResponse:
        file = scope.pop("_body_file", None)
        body = b"" if file is None else file.read()
        messages: list[Any] = []
        requests = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if requests:
                return requests.pop()
            return await asyncio.get_running_loop().create_future()  # no client hangs up here

        async def send(message: Any) -> None:
            messages.append(message)

        # Requests of a test share its connections, as in Django's own client.
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        try:
            await self._application(dict(scope), receive, send)
        finally:
            request_started.connect(close_old_connections)
            request_finished.connect(close_old_connections)
        response = _response_of(messages)
        response.asgi_request = ASGIRequest(scope, BytesIO(body))
        return response


def _response_of(messages: list[Any]) -> HttpResponse:
    start, *rest = [one for one in messages if one["type"].startswith("http.response.")]
    body = b"".join(one.get("body", b"") for one in rest if one["type"] == "http.response.body")
    response = HttpResponse(body, status=start["status"])
    del response.headers["Content-Type"]
    for name, value in start["headers"]:
        text = bytes(value).decode("latin-1")
        if bytes(name).lower() == b"set-cookie":
            response.cookies.load(text)
        else:
            response.headers[bytes(name).decode("latin-1")] = text
    return response
