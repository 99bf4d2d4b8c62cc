"""Puts the middleware around the application of an MCP server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linqi.asgi._http import ASGIApp
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.resource_metadata import ResourceMetadata
from linqi.config.builder import Components
from linqi.config.schema import Config
from linqi.config.wrapper import components_of
from linqi.errors import ConfigurationError
from linqi.jose.verifier import Verifier
from linqi.mcp.audiences import check_audiences
from linqi.mcp.callers import Callers
from linqi.mcp.step_up import StepUp
from linqi.mcp.tool_scopes import ToolScopes

__all__ = ["protect"]


def protect(
    app: ASGIApp,
    trust: str | Path | Config | Components | Verifier = "linqi.toml",
    *,
    resource: ResourceMetadata | str | None = None,
    tools: ToolScopes | None = None,
    **options: Any,
) -> JWTMiddleware:
    """Return the application of an MCP server inside the middleware, as a protected resource.

    The document of RFC 9728 is served, every challenge refers to it, and only tokens whose
    audience is the resource are accepted. The server's own authentication stays off.

    Args:
        app: What ``streamable_http_app()`` of the official SDK or ``http_app()`` of FastMCP
            returned.
        trust: The path of a ``linqi.toml`` with a table ``[resource]``, a `Config`, its
            `Components`, or a `Verifier`.
        resource: With a `Verifier`: the metadata, or only the canonical URL of the server, whose
            clients are then sent to the issuers that the verifier trusts.
        tools: The scopes that tools need.
        options: With a `Verifier` the options of `JWTMiddleware`, otherwise those of
            `linqi.config.build`.

    Raises:
        ConfigurationError: Every fault; there is no resource; or an issuer is trusted with
            another audience.

    """
    if isinstance(trust, Verifier):
        wanted = options | {"verifier": trust, "resource_metadata": _metadata(trust, resource)}
    elif resource is not None:
        raise ConfigurationError(["resource is for a Verifier; set url in [resource] of the file"])
    else:
        parts = components_of(trust, **options)
        wanted = parts.options() | {"resource_metadata": parts.resource}
    metadata = wanted["resource_metadata"]
    if metadata is None:
        raise ConfigurationError(
            ["an MCP server needs its canonical URL: set url in [resource], or pass resource="]
        )
    check_audiences(wanted["verifier"], metadata.resource)
    inner: ASGIApp = Callers(app, metadata.resource)
    if tools is not None:
        inner = StepUp(inner, tools, wanted.get("realm", "api"))
    return JWTMiddleware(inner, **wanted)


def _metadata(
    verifier: Verifier, resource: ResourceMetadata | str | None
) -> ResourceMetadata | None:
    if not isinstance(resource, str):
        return resource
    outside = [one.issuer for one in verifier.issuers if not one.own]
    if verifier.opaque is not None:
        outside += [one.issuer for one in verifier.opaque.issuers]
    return ResourceMetadata(resource, [*dict.fromkeys(outside)])
