"""The OpenAPI document of a FastAPI application behind the middleware."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from linqi.asgi._http import Access
from linqi.asgi.openapi_paths import (
    SCHEME,
    refusal_responses,
    security_scheme,
    session_paths,
    session_schemas,
)
from linqi.fastapi.refused import answer_refusals
from linqi.fastapi.routes import MarkedRoutes, scopes_of

__all__ = ["document"]


def document(
    app: FastAPI,
    marked: MarkedRoutes,
    *,
    token_url: str | None = None,
    sessions_prefix: str | None = None,
    scopes: Mapping[str, str] | None = None,
    realm: str = "api",
    style: str = "rfc6750",
    moves: bool = False,
) -> None:
    """Describe the guard in the OpenAPI document of `app`, and answer refusals in its form.

    Every operation that is not public names the security scheme and the response 401; one whose
    dependencies require scopes names them, and 403. `protect` calls this.

    Args:
        app: The application.
        marked: Its routes, as they are given to the middleware.
        token_url: The path of a sign-in by the OAuth 2.0 password flow, for *Authorize*. With
            `sessions_prefix` it is that of the session routes.
        sessions_prefix: The prefix of the session routes, which are then described; None if there
            are none.
        scopes: The meaning of scopes; those that routes require are listed without it too.
        realm: The realm of challenges by dependencies.
        style: The format of the bodies of refusals (`linqi.RefusalFormat`).
        moves: Whether the session routes exchange tokens of an earlier system.

    """
    answer_refusals(app, realm)
    described_scopes = dict(scopes or {})
    description = _Description(
        app, marked, token_url, sessions_prefix, described_scopes, style, moves=moves
    )
    original = app.openapi
    described: list[tuple[Any, dict[str, Any]]] = []

    def openapi() -> dict[str, Any]:
        plain = original()
        if not described or described[0][0] is not plain:
            described[:] = [(plain, description.of(plain))]
        return described[0][1]

    app.openapi = openapi  # type: ignore[method-assign]


class _Description:
    def __init__(
        self,
        app: FastAPI,
        marked: MarkedRoutes,
        token_url: str | None,
        sessions_prefix: str | None,
        scopes: dict[str, str],
        style: str,
        *,
        moves: bool,
    ) -> None:
        self._app = app
        self._moves = moves
        self._marked = marked
        self._token_url = token_url
        self._sessions_prefix = sessions_prefix
        self._scopes = scopes
        self._style = style

    def of(self, plain: dict[str, Any]) -> dict[str, Any]:
        """Return the document `plain` with what the guard requires."""
        schema = copy.deepcopy(plain)
        components = schema.setdefault("components", {})
        used = dict(self._scopes)
        for rule, served in self._marked.collector.pairs():
            path = schema.get("paths", {}).get(getattr(served, "path_format", None), {})
            access = self._access(rule.access, served)
            needed = scopes_of(served)
            used.update({scope: used.get(scope, "") for scope in needed})
            for method in rule.methods or ():
                if method.lower() in path and access is not Access.PUBLIC:
                    self._describe(path[method.lower()], access, needed)
        schemas = components.setdefault("schemas", {})
        for name, described in session_schemas().items():
            if name == "LinqiError" or self._sessions_prefix is not None:
                schemas.setdefault(name, described)
        if self._sessions_prefix is not None:
            sessions = session_paths(self._sessions_prefix, moves=self._moves)
            schema["paths"] = schema.get("paths", {}) | sessions
        components.setdefault("securitySchemes", {})[SCHEME] = self._scheme(used)
        return schema

    def _access(self, access: Access, served: Any) -> Access:
        """Return what the marks or the operator's paths require."""
        path = getattr(served, "path_format", None) or ""
        given = self._marked.paths.access({"path": path})
        return access if given is Access.GUARDED else given

    def _scheme(self, scopes: dict[str, str]) -> dict[str, Any]:
        token_url, prefix = self._token_url, self._sessions_prefix
        if prefix is None:
            return security_scheme(token_url and self._relative(token_url), scopes=scopes)
        return security_scheme(
            self._relative(token_url or f"{prefix}/login"),
            refresh_url=self._relative(f"{prefix}/refresh"),
            scopes=scopes,
        )

    def _relative(self, path: str) -> str:
        """Return `path` relative to Swagger UI's page, so that a ``--root-path`` counts."""
        is_beside = (self._app.docs_url or "").count("/") == 1
        return path.removeprefix("/") if is_beside else path

    def _describe(self, operation: dict[str, Any], access: Access, scopes: tuple[str, ...]) -> None:
        """Add what the guard requires to what the operation requires itself."""
        there = operation.get("security") or [{}]
        operation["security"] = [{**each, SCHEME: list(scopes)} for each in there]
        if access is Access.OPTIONAL:
            operation["security"].append({})
        for status, response in refusal_responses(scopes=bool(scopes), style=self._style).items():
            operation["responses"].setdefault(status, response)
