"""The OpenAPI description of the session routes, of refusals and of the security scheme.

Plain dictionaries for the documents of web frameworks (OpenAPI 3.1; 3.0 reads them too).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

__all__ = [
    "SCHEME",
    "refusal_responses",
    "security_scheme",
    "session_paths",
    "session_schemas",
]

Document: TypeAlias = dict[str, Any]
SCHEME: Final = "linqi"
"""The name of the security scheme among the components of a document."""

_TAG: Final = "sessions"
_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "number", "description": "seconds"}
_INSTANT: Final = {"type": "number", "description": "Unix seconds"}
_CHALLENGE: Final = {
    "WWW-Authenticate": {"description": "The Bearer challenge (RFC 6750)", "schema": _TEXT}
}
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}
}
_DELIVERY: Final = {
    "name": "X-Token-Delivery",
    "in": "header",
    "required": False,
    "description": "cookie: the refresh token is sent in an HttpOnly cookie. body, the default: it"
    " is sent in the body.",
    "schema": {"type": "string", "enum": ["cookie", "body"]},
}


def security_scheme(
    token_url: str | None = None,
    *,
    refresh_url: str | None = None,
    scopes: Mapping[str, str] | None = None,
) -> Document:
    """Return the security scheme of access tokens.

    Args:
        token_url: The path of the sign-in, with which *Authorize* signs in by name and password
            (the OAuth 2.0 password flow). It may be relative to the document's server. Without it
            the user pastes a token.
        refresh_url: The path of the refresh.
        scopes: Each scope and its meaning, to choose from at the sign-in.

    """
    if token_url is None:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    flow = {"tokenUrl": token_url, "scopes": dict(scopes or {})}
    if refresh_url is not None:
        flow["refreshUrl"] = refresh_url
    return {"type": "oauth2", "flows": {"password": flow}}


def refusal_responses(*, scopes: bool = False, style: str = "rfc6750") -> dict[str, Document]:
    """Return the responses of the guard: 401, and 403 for a route that needs `scopes`.

    Args:
        scopes: Whether the route needs some.
        style: The format of their bodies (`RefusalFormat`).

    """
    found = {"401": _in_style(style, "No token, or one that is not valid")}
    if scopes:
        found["403"] = _in_style(style, "The token lacks a scope")
    return found


def session_schemas() -> dict[str, Document]:
    """Return the schemas to which the other descriptions refer, by name."""
    return {
        "LinqiError": _object(
            {"error": _TEXT, "error_description": _TEXT},
            required=["error"],
            description="An error (RFC 6749, section 5.2; RFC 6750)",
        ),
        "LinqiTokens": _object(
            {
                "access_token": _TEXT,
                "token_type": {"type": "string", "enum": ["Bearer"]},
                "expires_in": _SECONDS,
                "refresh_in": _SECONDS | {"description": "seconds until the client should refresh"},
                "refresh_token": _TEXT | {"description": "unless it is sent in a cookie"},
                "refresh_token_timeout": _SECONDS,
                "authorization_expires_in": _SECONDS,
                "sequence": {"type": "integer", "description": "rises with every refresh"},
                "scope": _TEXT,
                "device_token": _TEXT | {"description": "keeps this device known to the throttle"},
            },
            required=["access_token", "token_type", "expires_in", "refresh_in", "sequence"],
        ),
        "LinqiSessions": _object(
            {"sessions": {"type": "array", "items": _SESSION}}, required=["sessions"]
        ),
    }


def session_paths(
    prefix: str = "", *, scheme: str = SCHEME, moves: bool = False
) -> dict[str, Document]:
    """Return the operations of `SessionRoutes` by path.

    Args:
        prefix: The prefix of the routes.
        scheme: The name of the security scheme.
        moves: Whether the verifier has a bridge, and so a route for tokens of an earlier system.

    """
    secured: Document = {"security": [{scheme: []}]}
    guarded = refusal_responses() | {"403": _refusal("The token is of another issuer")}
    refresh = _body({"grant_type": _GRANT | {"enum": ["refresh_token"]}, "scope": _TEXT} | _REFRESH)
    operations: dict[str, tuple[str, Document]] = {
        "/login": (
            "post",
            _operation("sign_in", "Sign in", {"200": _TOKENS, **_FAULTS, "429": _SLOW_DOWN})
            | _body(_LOGIN, required=["username", "password"])
            | {"parameters": [_DELIVERY]},
        ),
        "/refresh": (
            "post",
            _operation("refresh", "Exchange the refresh token", {"200": _TOKENS, **_FAULTS})
            | refresh
            | {"parameters": [_DELIVERY]},
        ),
        "/logout": (
            "post",
            _operation("sign_out", "End the session of the refresh token", _DONE | _FAULTS)
            | _body(_REFRESH)
            | {"parameters": [_DELIVERY]},
        ),
        "/logout-all": (
            "post",
            _operation("sign_out_everywhere", "End all sessions of the user", _DONE | guarded)
            | secured,
        ),
        "/sessions": (
            "get",
            _operation("sessions", "List the sessions of the user", {"200": _LIST} | guarded)
            | secured,
        ),
        "/sessions/{session_id}": (
            "delete",
            _operation("end_session", "End one session of the user", _DONE | guarded | _ABSENT)
            | secured
            | {"parameters": [_SESSION_ID]},
        ),
        "/revoke": (
            "post",
            _operation("revoke", "Revoke a token (RFC 7009)", {"200": _REVOKED, **_FAULTS})
            | _body({"token": _TEXT, "token_type_hint": _TEXT}, required=["token"]),
        ),
    }
    if moves:
        operations["/move"] = (
            "post",
            _operation("move", "Exchange a token of the earlier system", {"200": _TOKENS} | _MOVED)
            | secured
            | {"parameters": [_DELIVERY]},
        )
    return {f"{prefix}{path}": {method: found} for path, (method, found) in operations.items()}


def _operation(name: str, summary: str, responses: Mapping[str, Document]) -> Document:
    return {
        "tags": [_TAG],
        "summary": summary,
        "operationId": f"linqi_{name}",
        "responses": {status: responses[status] for status in sorted(responses)} | _UNAVAILABLE,
    }


def _object(properties: Document, **more: Any) -> Document:
    return {"type": "object", "properties": properties, **more}


def _body(properties: Document, *, required: list[str] | None = None) -> Document:
    """Return the body of a request: a form, as OAuth 2.0 sends it, or JSON."""
    schema = _object(properties, **({"required": required} if required else {}))
    kinds = ("application/x-www-form-urlencoded", "application/json")
    content = {kind: {"schema": schema} for kind in kinds}
    return {"requestBody": {"required": bool(required), "content": content}}


def _json(description: str, schema: Document, headers: Document | None = None) -> Document:
    content = {"application/json": {"schema": schema}}
    return {"description": description, "content": content} | (
        {"headers": headers} if headers else {}
    )


def _in_style(style: str, description: str) -> Document:
    """Return the description of a refusal whose body is in a format of the application."""
    if style == "rfc6750":
        return _refusal(description, _CHALLENGE)
    kind = "application/problem+json" if style == "problem" else "application/json"
    schema = _object({name: _MEMBERS[name] for name in _STYLES.get(style, ())})
    content = {kind: {"schema": schema}}
    return {"description": description, "content": content, "headers": _CHALLENGE}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _refusal(description: str, headers: Document | None = None) -> Document:
    return _json(description, _ref("LinqiError"), headers)


_MEMBERS: Final = {
    **dict.fromkeys(("type", "title", "detail", "msg"), _TEXT),
    "status": {"type": "integer"},
    "code": {"type": ["string", "integer"]},
    "data": {},
}
_STYLES: Final = {
    "problem": ("type", "title", "status", "detail", "code"),
    "detail": ("detail", "code"),
    "envelope": ("code", "msg", "data"),
}
_GRANT: Final = {"type": "string", "description": "as OAuth 2.0 clients send it"}
_LOGIN: Final = {
    "grant_type": _GRANT,
    "username": _TEXT,
    "password": {"type": "string", "format": "password"},
    "scope": _TEXT,
    "device": _TEXT | {"description": "a name for the list of sessions"},
    "device_token": _TEXT | {"description": "of an earlier sign-in, where no cookie has it"},
}
_REFRESH: Final = {"refresh_token": _TEXT | {"description": "unless a cookie has it"}}
_SESSION: Final = _object(
    {
        "session_id": _TEXT,
        "device": _TEXT,
        "started_at": _INSTANT,
        "refreshed_at": _INSTANT,
        "expires_at": _INSTANT,
        "ends_at": _INSTANT,
        "is_current": {"type": "boolean"},
    }
)
_SESSION_ID: Final = {"name": "session_id", "in": "path", "required": True, "schema": _TEXT}
_TOKENS: Final = _json("The tokens", _ref("LinqiTokens"))
_LIST: Final = _json("The sessions, oldest first", _ref("LinqiSessions"))
_MOVED: Final = {
    "400": _refusal("The token is not one of the earlier system, or its session has ended"),
    "401": _refusal("No token, or one that is not valid", _CHALLENGE),
}
_REVOKED: Final = _json("The token is revoked, or is none of this service", {"type": "object"})
_DONE: Final = {"204": {"description": "Done"}}
_ABSENT: Final = {"404": _refusal("The user has no such session")}
_SLOW_DOWN: Final = _refusal("Too many failed sign-ins", _RETRY_AFTER)
_UNAVAILABLE: Final = {"503": _refusal("Try again with the same token", _RETRY_AFTER)}
_FAULTS: Final = {
    "400": _refusal("The request, the name or password, or the refresh token is refused"),
    "413": _refusal("The body is too large"),
    "415": _refusal("The body is neither a form nor JSON"),
}
