"""Servers and clients of the Model Context Protocol for tests, all of real libraries."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import uvicorn
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

CALLBACK = "http://127.0.0.1:9/callback"


class Stored(TokenStorage):
    """The tokens and the registration of one client."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Take the tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the registration."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Take the registration."""
        self.client = client_info


class Browser:
    """Follows the redirects of a sign-in, as the browser of `user` would."""

    def __init__(self, user: str = "alice") -> None:
        self.user = user
        self.asked: list[dict[str, str]] = []
        """The query of each authorization request."""
        self._answer: dict[str, str] = {}

    async def open(self, url: str) -> None:
        """Sign in at `url`."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.asked.append(query)
        async with httpx2.AsyncClient(timeout=10) as browser:
            answer = await browser.get(f"{url}&login_hint={self.user}")
            while not (place := answer.headers.get("location", "")).startswith(CALLBACK):
                assert answer.is_redirect, answer.text
                answer = await browser.get(str(answer.url.join(place)))
        values = parse_qs(urlsplit(place).query)
        self._answer = {name: found[0] for name, found in values.items()}

    async def answer(self) -> AuthorizationCodeResult:
        """Return what came to the redirect URI."""
        assert "code" in self._answer, self._answer
        return AuthorizationCodeResult(
            code=self._answer["code"], state=self._answer["state"], iss=self._answer.get("iss")
        )


def signing_in(url: str, browser: Browser, stored: TokenStorage | None = None) -> httpx2.Auth:
    """Return the official client's authentication, which signs in by `browser`."""
    metadata = OAuthClientMetadata(
        redirect_uris=[CALLBACK],  # type: ignore[list-item]
        client_name="test",
        token_endpoint_auth_method="none",
    )
    return OAuthClientProvider(url, metadata, stored or Stored(), browser.open, browser.answer)


@contextlib.asynccontextmanager
async def connected(url: str, auth: httpx2.Auth, mode: Any = "auto") -> AsyncIterator[Client]:
    """Return the official client, connected to the server at `url`."""
    async with (
        create_mcp_http_client(auth=auth) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@contextlib.asynccontextmanager
async def serving(build: Callable[[str], Any]) -> AsyncIterator[str]:
    """Serve on real uvicorn what `build` makes for the URL of its endpoint; return that URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        server = uvicorn.Server(uvicorn.Config(build(url), log_level="error", lifespan="on"))
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield url
        finally:
            server.should_exit = True
            await task


class Bearer(httpx2.Auth):
    """Sends a token as it is; it may be replaced."""

    def __init__(self, token: str) -> None:
        self.token = token

    def auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:
        """Put the token into a request."""
        request.headers["authorization"] = f"Bearer {self.token}"
        yield request


def rpc(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the protocol."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
