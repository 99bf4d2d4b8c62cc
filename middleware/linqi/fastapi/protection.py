"""Puts the middleware that ``linqi.toml`` describes into a FastAPI application."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from linqi.asgi.authentication import Authenticate
from linqi.config.builder import Components
from linqi.config.schema import Config
from linqi.fastapi.document import document
from linqi.fastapi.routes import marked_routes
from linqi.starlette.protection import install

__all__ = ["protect"]


def protect(
    app: FastAPI,
    config: str | Path | Config | Components = "linqi.toml",
    *,
    authenticate: Authenticate | None = None,
    public_docs: bool = False,
    token_url: str | None = None,
    scopes: Mapping[str, str] | None = None,
    **options: Any,
) -> Components:
    """Put the middleware that `config` describes into `app`, and return its parts.

    `app` stays a FastAPI: ``uvicorn shop:app``, ``fastapi run`` and tests use it. Routes may be
    declared before or after this call, until the application serves. A `CORSMiddleware` stays
    outside, whether it is added before or after.

    Args:
        app: The application.
        config: The path of a file, a `Config`, or `Components`.
        authenticate: Checks the credentials of a sign-in. It adds the session routes, and needs a
            store; Swagger UI's *Authorize* signs in with them.
        public_docs: Whether the pages of the documentation and the OpenAPI document are public.
        token_url: The path of a sign-in of your own, for *Authorize*: it takes a form with
            ``username`` and ``password`` and returns ``access_token``.
        scopes: The meaning of scopes, for *Authorize*.
        options: The options of `linqi.config.build`, such as `authorize` and `hooks`.

    Raises:
        ConfigurationError: Every fault of the configuration or of the marks.

    """
    marked = marked_routes(app)
    public = _docs(app) if public_docs else ()
    parts = install(app, marked, config, authenticate, options, public=public)
    prefix = parts.config.paths.sessions_prefix or ""
    document(
        app,
        marked,
        token_url=token_url,
        sessions_prefix=None if authenticate is None else prefix,
        scopes=scopes,
        realm=parts.config.http.realm,
        style=parts.config.http.refusal_format,
        moves=parts.verifier.bridge is not None,
    )
    return parts


def _docs(app: FastAPI) -> tuple[str, ...]:
    """Return the paths of the OpenAPI document and of the pages that show it."""
    pages = (app.openapi_url, app.docs_url, app.swagger_ui_oauth2_redirect_url, app.redoc_url)
    return tuple(page for page in pages if page)
