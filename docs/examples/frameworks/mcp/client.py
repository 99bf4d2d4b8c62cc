"""Signs in by the browser, and calls two tools; the second one leads to one more consent."""

import asyncio
import webbrowser
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

SERVER = "http://127.0.0.1:8000/mcp"
PORT = 8400


class Memory:
    """Keeps tokens while the program runs; keep yours in a file of the user, or in a keyring."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        """Return the tokens of the last sign-in."""
        return self.tokens

    async def set_tokens(self, tokens):
        """Keep the tokens of a sign-in."""
        self.tokens = tokens

    async def get_client_info(self):
        """Return this program's registration at the provider."""
        return self.client

    async def set_client_info(self, client_info):
        """Keep this program's registration at the provider."""
        self.client = client_info


class Browser:
    """Opens the page of the provider, which sends the browser back to a port of this machine."""

    async def open(self, url):
        """Wait for the answer on the port, then open the page."""
        self.answered = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_server(self.take, "127.0.0.1", PORT)
        await asyncio.to_thread(webbrowser.open, url)

    async def take(self, reader, writer):
        """Answer a request of the browser."""
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nYou may close this page.")
        await writer.drain()
        writer.close()
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        if "code" in query and not self.answered.done():
            self.answered.set_result(query)

    async def answer(self):
        """Return what the provider sent."""
        query = await self.answered
        self.server.close()
        return AuthorizationCodeResult(**query)


async def main():
    """Call the tools."""
    metadata = OAuthClientMetadata(
        client_name="Notes client",
        redirect_uris=[f"http://127.0.0.1:{PORT}/callback"],
        token_endpoint_auth_method="none",
    )
    browser = Browser()
    auth = OAuthClientProvider(SERVER, metadata, Memory(), browser.open, browser.answer)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=300) as http,
        Client(streamable_http_client(SERVER, http_client=http)) as client,
    ):
        for tool, arguments in (("list_notes", {}), ("add_note", {"text": "milk"})):
            print(tool, (await client.call_tool(tool, arguments)).structured_content)


if __name__ == "__main__":
    asyncio.run(main())
