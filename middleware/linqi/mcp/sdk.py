"""The door to the official SDK of the Model Context Protocol, the package ``mcp``."""

from __future__ import annotations

try:
    from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, auth_context_var
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken
except ModuleNotFoundError as error:
    raise ImportError("linqi.mcp needs the MCP SDK: pip install 'linqi[mcp]'") from error

__all__ = ["AccessToken", "AuthContextMiddleware", "AuthenticatedUser", "auth_context_var"]
