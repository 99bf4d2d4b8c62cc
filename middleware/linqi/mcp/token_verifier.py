"""The verifier of tokens that the official SDK of the Model Context Protocol takes."""

from __future__ import annotations

from collections.abc import Sequence

from linqi.asgi.lifespan import Service, Services
from linqi.errors import TokenError, Unavailable, UnknownKey
from linqi.events import Hook
from linqi.events.dispatcher import Dispatcher
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.verified import Verified
from linqi.jose.verifier import Verifier
from linqi.mcp.audiences import check_audiences
from linqi.mcp.callers import access_token_of
from linqi.mcp.sdk import AccessToken

__all__ = ["TokenVerifier", "VerifiedTokens"]


class VerifiedTokens:
    """Verifies tokens outside of `JWTMiddleware`; the first of them starts the key sets.

    Args:
        verifier: Verifies the tokens.
        resource: The canonical URL of the server.
        services: Started with the key sets, such as `Revocations`.
        hooks: Receive every event of the verifier; by default events are logged.

    Raises:
        ConfigurationError: An issuer is trusted with another audience than `resource`.

    """

    def __init__(
        self,
        verifier: Verifier,
        resource: str,
        services: Sequence[Service] = (),
        hooks: Sequence[Hook] | None = None,
    ) -> None:
        check_audiences(verifier, resource)
        chosen = (LoggingHook(),) if hooks is None else tuple(hooks)
        verifier.listen(*chosen)
        self._verifier = verifier
        needed = [*verifier.fetched_keys, *services]
        self._services = Services(needed, None, Dispatcher(chosen))

    async def verify(self, token: str) -> Verified | None:
        """Return the verified `token`, or None if it is refused.

        Raises:
            Unavailable: Keys or revocations are not available now, so that nothing is known of
                the token.

        """
        if not self._services.is_ready:
            await self._services.ensure()
        try:
            try:
                return self._verifier.verify(token)
            except (UnknownKey, Unavailable):
                if not await self._verifier.fetch_key(token):
                    raise
                return self._verifier.verify(token)
        except TokenError:
            return None


class TokenVerifier:
    """The ``token_verifier`` of ``MCPServer``, for servers whose SDK does the authentication.

    `linqi.mcp.protect` does more: see docs/frameworks/mcp.md.

    Args:
        verifier: Verifies the tokens; each issuer must be trusted for `resource` alone.
        resource: The canonical URL of the server: the ``resource_server_url`` of ``AuthSettings``.
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
        services: Sequence[Service] = (),
        hooks: Sequence[Hook] | None = None,
    ) -> None:
        self._tokens = VerifiedTokens(verifier, resource, services, hooks)
        self._resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what the SDK knows of `token`, or None if it is refused.

        Raises:
            Unavailable: Keys or revocations are not available now; the SDK answers 500.

        """
        verified = await self._tokens.verify(token)
        return None if verified is None else access_token_of(verified, self._resource, token)
