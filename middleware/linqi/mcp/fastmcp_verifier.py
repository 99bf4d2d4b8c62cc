"""The verifier of tokens that FastMCP takes."""

from __future__ import annotations

from collections.abc import Sequence

try:
    from fastmcp.server.auth import AccessToken, TokenVerificationError, TokenVerifier
except ModuleNotFoundError as error:
    raise ImportError("FastMCPTokenVerifier needs FastMCP: pip install 'linqi[fastmcp]'") from error

from linqi.asgi.lifespan import Service
from linqi.errors import Unavailable
from linqi.events import Hook
from linqi.jose.verifier import Verifier
from linqi.mcp.callers import access_token_of
from linqi.mcp.token_verifier import VerifiedTokens

__all__ = ["FastMCPTokenVerifier"]


class FastMCPTokenVerifier(TokenVerifier):
    """The ``token_verifier`` of FastMCP's ``RemoteAuthProvider``.

    Args:
        verifier: Verifies the tokens; each issuer must be trusted for `resource` alone.
        resource: The canonical URL of the server: its ``base_url`` with the path of its endpoint.
        required_scopes: The scopes that every request needs.
        services: Started with the key sets, such as `Revocations`.
        hooks: Receive every event of the verifier; by default events are logged.

    Raises:
        ConfigurationError: An issuer is trusted with another audience.

    """

    def __init__(
        self,
        verifier: Verifier,
        resource: str,
        *,
        required_scopes: Sequence[str] = (),
        services: Sequence[Service] = (),
        hooks: Sequence[Hook] | None = None,
    ) -> None:
        super().__init__(required_scopes=[*required_scopes])
        self._tokens = VerifiedTokens(verifier, resource, services, hooks)
        self._resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what FastMCP knows of `token`, or None if it is refused.

        Raises:
            TokenVerificationError: Keys or revocations are not available now.

        """
        try:
            verified = await self._tokens.verify(token)
        except Unavailable as error:
            raise TokenVerificationError(str(error)) from error
        if verified is None:
            return None
        known = access_token_of(verified, self._resource, token)
        return AccessToken(**known.model_dump())
