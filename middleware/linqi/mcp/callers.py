"""The caller of a tool, as the SDK and linqi know it."""

from __future__ import annotations

try:
    from starlette.authentication import AuthCredentials  # the SDK brings it
except ModuleNotFoundError as error:
    raise ImportError("linqi.mcp needs the MCP SDK: pip install 'linqi[mcp]'") from error

from linqi.asgi._http import ASGIApp, Receive, Scope, Send
from linqi.errors import ConfigurationError
from linqi.jose.verified import Verified
from linqi.mcp.sdk import AccessToken, AuthContextMiddleware, AuthenticatedUser, auth_context_var

__all__ = ["Callers", "access_token_of", "current"]

_CLIENT_CLAIMS = ("client_id", "azp", "cid")


class _Caller(AuthenticatedUser):
    """The user of the SDK, with the verified token that it was made from."""

    def __init__(self, verified: Verified, resource: str) -> None:
        super().__init__(access_token_of(verified, resource))
        self.verified = verified


class Callers:
    """Shows the SDK the caller that `JWTMiddleware` verified, as its own middleware would.

    The SDK then binds each session to the client, issuer and subject that began it, so that the
    ``Mcp-Session-Id`` of one user is of no use to another (H10), and its ``get_access_token()``
    works in tools.

    Args:
        app: The application of an MCP server.
        resource: The canonical URL of the server.

    """

    def __init__(self, app: ASGIApp, resource: str) -> None:
        self._app: ASGIApp = AuthContextMiddleware(app)
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        verified = scope.get("linqi")
        if isinstance(verified, Verified):
            user = _Caller(verified, self._resource)
            scope = {**scope, "user": user, "auth": AuthCredentials(list(verified.scopes))}
        await self._app(scope, receive, send)


def access_token_of(verified: Verified, resource: str, token: str = "") -> AccessToken:
    """Return what the SDK knows of a verified token.

    A token that names neither a client nor a subject is a client of its own.

    Args:
        verified: The verified token.
        resource: The canonical URL of the server, which the token's audience was checked against.
        token: The token itself. `Callers` leaves it out: a tool must not pass it on to another
            service (MCP, "Token Passthrough").

    """
    claims = dict(verified.claims)
    named = (claims.get(name) for name in _CLIENT_CLAIMS)
    client = next((name for name in named if isinstance(name, str) and name), None)
    return AccessToken(
        token=token,
        # Else all tokens without a name would be one caller, and share sessions by their ids (H10).
        client_id=client or verified.subject or f"token {verified.digest.hex()[:32]}",
        scopes=list(verified.scopes),
        expires_at=int(verified.expires_at),
        resource=resource,
        subject=verified.subject,
        claims=claims,
    )


def current() -> Verified:
    """Return the verified caller of the tool, resource or prompt that is running.

    Raises:
        ConfigurationError: The server is not inside `protect`, or the code runs outside of a
            request.

    """
    user = auth_context_var.get()
    if isinstance(user, _Caller):
        return user.verified
    raise ConfigurationError(["there is no verified caller here; put linqi.mcp.protect around"])
