"""What the OpenAPI document of a Litestar application says of tokens and sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, Operation, SecurityScheme
from litestar.routes import BaseRoute, HTTPRoute

from linqi.asgi.openapi_paths import (
    SCHEME,
    refusal_responses,
    session_paths,
    session_schemas,
)
from linqi.litestar.callers import scopes_of

__all__ = ["describe_route", "describe_security", "session_handlers"]


def describe_security(config: OpenAPIConfig, session_prefix: str | None) -> None:
    """Add the security scheme to the document: password sign-in where there are session routes."""
    if session_prefix is None:
        scheme = SecurityScheme(type="http", scheme="Bearer", bearer_format="JWT")
    else:
        flow = OAuthFlow(
            token_url=f"{session_prefix}/login", refresh_url=f"{session_prefix}/refresh", scopes={}
        )
        scheme = SecurityScheme(type="oauth2", flows=OAuthFlows(password=flow))
    ours = Components(security_schemes={SCHEME: scheme})
    given = config.components
    config.components = [*(given if isinstance(given, list) else [given]), ours]


def describe_route(route: BaseRoute, handler: Any) -> None:
    """Say in the operations of `handler` that they need a token, and how they refuse."""
    if not isinstance(route, HTTPRoute) or not handler.resolve_include_in_schema():
        return
    if handler.opt.get("public") is True or issubclass(handler.operation_class, _SessionOperation):
        return
    needed = scopes_of(handler)
    added: dict[str, Any] = {"security": [{SCHEME: list(needed)}]}
    if handler.opt.get("optional") is True:
        added["security"].append({})
    responses = _inlined(refusal_responses(scopes=bool(needed)), session_schemas())
    handler.operation_class = _guarded_operation(handler.operation_class, added, responses)


def session_handlers(prefix: str, *, moves: bool = False) -> Sequence[HTTPRouteHandler]:
    """Return handlers that stand for the session routes in the document.

    `SessionRoutes` stands in front of the application, so that none of them is ever called.
    """
    schemas = session_schemas()
    handlers = []
    for path, item in session_paths(prefix, scheme=SCHEME, moves=moves).items():
        for method, described in item.items():
            operation = _inlined(described, schemas)
            made = type("SessionOperation", (_SessionOperation,), {"described": operation})
            handlers.append(_session_handler(path, method.upper(), made))
    return handlers


class _SessionOperation(Operation):
    described: Mapping[str, Any] = {}

    def to_schema(self) -> dict[str, Any]:
        """Return the operation as `linqi.asgi.openapi_paths` describes it."""
        return dict(self.described)


def _session_handler(path: str, method: str, operation: type[Operation]) -> HTTPRouteHandler:
    template = path.replace("{session_id}", "{session_id:str}")

    async def answered_in_front() -> None:
        """Answered by `SessionRoutes`, which stands in front of the application."""

    made = HTTPRouteHandler(template, http_method=method, operation_class=operation)  # type: ignore[arg-type]
    return made(answered_in_front)


def _guarded_operation(
    base: type[Operation], added: Mapping[str, Any], responses: Mapping[str, Any]
) -> type[Operation]:
    """Return a subclass of `base` whose schema says what the guard answers."""

    def to_schema(self: Operation) -> dict[str, Any]:
        schema = base.to_schema(self)
        own = schema.get("responses") or {}
        return {**added, **schema, "responses": {**responses, **own}}

    return type("GuardedOperation", (base,), {"to_schema": to_schema})


def _inlined(value: Any, schemas: Mapping[str, Any]) -> Any:
    """Return `value` with each reference to `schemas` replaced by the schema itself.

    Litestar writes the schemas of the document anew, and has no place for further ones.
    """
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str):
            return _inlined(schemas[reference.rpartition("/")[2]], schemas)
        return {name: _inlined(one, schemas) for name, one in value.items()}
    if isinstance(value, list):
        return [_inlined(one, schemas) for one in value]
    return value
