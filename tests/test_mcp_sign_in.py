"""MCP clients find a server's issuer, sign in and call tools (H9, H10), all of real libraries."""

import asyncio
import json
import subprocess
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client as FastMCPClient
from fastmcp.client.auth import OAuth
from mcp import MCPError
from mcp.server.mcpserver import MCPServer

from linqi import Introspection, OpaqueIssuer, RemoteKeys, ResourceMetadata, Verifier
from linqi.mcp import ToolScopes, current, protect
from mcp_peers import Bearer, Browser, Stored, connected, serving, signing_in
from node_provider import Provider, node_and_packages, node_packages, node_provider

CLIENT = Path(__file__).parent / "node" / "mcp_client"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """Return an authorization server that issues tokens for any resource."""
    with node_provider(resources={"*": {}}) as running:
        yield running


def notes(tools: ToolScopes | None = None) -> MCPServer:
    """Return a server with two tools, one of which needs a scope."""
    tools, server = tools or ToolScopes(), MCPServer("notes")

    @server.tool()
    def who() -> str:
        return f"{current().subject} {' '.join(sorted(current().scopes))}"

    @server.tool()
    @tools.requires("write")
    def add_note(text: str) -> str:
        return f"{current().subject} wrote {text}"

    return server


def server(provider: Provider, url: str) -> Any:
    """Return a server whose clients sign in at `provider`."""
    tools = ToolScopes()
    trusting = Verifier(RemoteKeys(provider.issuer, ["ES256"]).trust(url))
    metadata = ResourceMetadata(url, [provider.issuer], scopes_supported=["read"])
    app = notes(tools).streamable_http_app()
    return protect(app, trusting, resource=metadata, tools=tools, hooks=[])


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.long)])
async def test_the_official_client_signs_in_and_steps_up(provider: Provider, mode: str) -> None:
    """From a 401 to a call, with PKCE and the resource; a 403 leads to one more sign-in."""
    browser, stored = Browser(), Stored()
    async with serving(lambda url: server(provider, url)) as url:
        async with connected(url, signing_in(url, browser, stored), mode) as client:
            who = await client.call_tool("who", {})
            assert who.content[0].text == "alice read"  # type: ignore[union-attr]
            assert len(browser.asked) == 1
            added = await client.call_tool("add_note", {"text": "x"})
            assert added.content[0].text == "alice wrote x"  # type: ignore[union-attr]
            who = await client.call_tool("who", {})
            assert who.content[0].text == "alice read write"  # type: ignore[union-attr]
        first, second = browser.asked
        assert first["resource"] == second["resource"] == url
        assert first["code_challenge_method"] == "S256"
        assert (first["scope"], second["scope"]) == (
            "read offline_access",
            "read offline_access write",
        )
        # Another server of the same issuer: the user's token for the first one is refused there.
        assert stored.tokens is not None
        async with serving(lambda other: server(provider, other)) as other:
            headers = {"authorization": f"Bearer {stored.tokens.access_token}"}
            async with httpx2.AsyncClient() as plain:
                answer = await plain.post(other, json={}, headers=headers)
                assert answer.status_code == 401
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]
                assert (await plain.post(url, json={}, headers=headers)).status_code != 401


async def test_opaque_tokens_are_for_one_server_too(provider: Provider) -> None:
    """The issuer is asked about them, and names the resource that they are for."""
    client = await asyncio.to_thread(provider.register)
    secret = {"client_id": client.id, "client_secret": client.secret}
    source = Introspection(provider.issuer, url=provider.about["introspection_endpoint"], **secret)

    def opaque(url: str) -> Any:
        issuer = OpaqueIssuer(issuer=provider.issuer, audience=url, source=source)
        return protect(notes().streamable_http_app(), Verifier(issuer), resource=url, hooks=[])

    await asyncio.to_thread(provider.set, resources={"*": {"format": "opaque"}})
    try:
        async with serving(opaque) as url, serving(opaque) as other:
            credentials = (client, url, "read")
            token = await asyncio.to_thread(provider.client_credentials, *credentials)
            async with connected(url, Bearer(token)) as connection:
                result = await connection.call_tool("who", {})
                assert result.content[0].text.endswith(" read")  # type: ignore[union-attr]
            async with httpx2.AsyncClient() as plain:
                headers = {"authorization": f"Bearer {token}"}
                assert (await plain.post(other, json={}, headers=headers)).status_code == 401
    finally:
        await asyncio.to_thread(provider.set, resources={"*": {}})


class Unwilling(Browser):
    """A user who consents to reading only."""

    async def open(self, url: str) -> None:
        """Sign in without the scope for writing."""
        await super().open(url.replace("+write", ""))


async def test_a_scope_that_is_not_granted_ends_in_an_error(provider: Provider) -> None:
    """The second 403 is the end: the client asks its user once for a call, and not in a loop."""
    browser = Unwilling()
    async with (
        serving(lambda url: server(provider, url)) as url,
        connected(url, signing_in(url, browser)) as client,
    ):
        with pytest.raises(MCPError):
            await client.call_tool("add_note", {"text": "x"})
        assert len(browser.asked) == 2
        who = await client.call_tool("who", {})
        assert who.content[0].text == "alice read"  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:Using in-memory token storage")
async def test_fastmcps_client_signs_in(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens a browser, and is called back on a port of its own."""

    def opened(url: str) -> bool:
        def follow() -> None:
            with httpx2.Client(follow_redirects=True, timeout=10) as client:
                client.get(f"{url}&login_hint=bob")

        threading.Timer(0.3, follow).start()
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    async with (
        asyncio.timeout(20),
        serving(lambda url: server(provider, url)) as url,
        FastMCPClient(url, auth=OAuth()) as client,
    ):
        result = await client.call_tool("who", {})
        assert result.content[0].text == "bob read"  # type: ignore[union-attr]


@pytest.mark.long
async def test_the_official_client_in_typescript_signs_in_and_steps_up(provider: Provider) -> None:
    """Another implementation finds the same issuer, and asks for the scope of the second tool."""
    node, _ = node_and_packages()
    folder = node_packages(CLIENT)
    async with serving(lambda url: server(provider, url)) as url:
        command = [node, str(CLIENT / "client.mjs"), str(folder), url]
        ran = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        out, _ = await asyncio.wait_for(ran.communicate(), 60)
        assert ran.returncode == 0
        done = json.loads(out)
        assert done["texts"] == ["alice read", "alice wrote x"]
        assert [one["resource"] for one in done["asked"]] == [url, url]
        assert "write" in done["asked"][1]["scope"].split()


async def test_a_client_of_its_own_uses_client_credentials(provider: Provider) -> None:
    """A program without a user gets its token for the resource too."""
    async with serving(lambda url: server(provider, url)) as url:
        client = await asyncio.to_thread(provider.register)
        token = await asyncio.to_thread(provider.client_credentials, client, url, "read")
        async with connected(url, Bearer(token)) as connection:
            result = await connection.call_tool("who", {})
            assert result.content[0].text == f"{client.id} read"  # type: ignore[union-attr]
