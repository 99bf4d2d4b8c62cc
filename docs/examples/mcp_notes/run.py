"""The whole story in one command: discovery, sign-in, more scopes, refresh, and what is refused."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from linqi import KeySet, Signer

HERE = Path(__file__).parent
CALLBACK = "http://127.0.0.1:9/callback"  # where the browser is sent back; it need not answer
LIFETIME = 10  # seconds, so that a token expires in this story; more on a busy machine
TRIES = 5  # of what a token may be over for, on such a machine
PATIENCE = 60  # seconds for an answer, as other programs may keep the machine busy
PASSWORDS = {"alice": "correct horse", "mallory": "battery staple"}
HEADERS = {"Accept": "application/json, text/event-stream"}


def told(is_so, what):
    """Print what is so, or end because it is not."""
    if not is_so:
        sys.exit(f"NOT AS TOLD: {what}")
    print(f"  {what}")


def free_port():
    """Return a port that nothing listens on, below those that systems give to connections."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def serving(folder, **settings):
    """Serve the files of this folder on a free port; yield the origin and the life of a token."""
    for name in ("linqi.toml", "server.py", "sign_in.py"):
        shutil.copy(HERE / name, folder)
    began = time.monotonic()
    for extra in ([], ["--alg", "HS256", "--out", "refresh.json"]):
        command = [sys.executable, "-m", "linqi", "keygen", *extra]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    # On two free cores this takes less than 2 s, and a sign-in of the story a fraction of it.
    lifetime = max(LIFETIME, round(4 * (time.monotonic() - began)))
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    named = {
        "LINQI_VERIFY__ISSUER": f"{origin}/",
        "LINQI_VERIFY__AUDIENCE": f"{origin}/mcp",
        "LINQI_RESOURCE__URL": f"{origin}/mcp",
        "LINQI_RESOURCE__AUTHORIZATION_SERVERS": f"{origin}/",
        "LINQI_RENEWAL__LIFETIME_SECONDS": str(lifetime),
        "LINQI_RENEWAL__BUFFER_SECONDS": "1",
    }
    uvicorn = [sys.executable, "-m", "uvicorn", "server:app", "--log-level", "error"]
    with Path(folder, "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*uvicorn, "--port", str(port)],
            cwd=folder,
            env=os.environ | named | settings,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(2400):
            code = process.poll()
            if code is not None:
                raise SystemExit(f"the server ended with code {code}")
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{origin}/login", timeout=PATIENCE)
                break
            time.sleep(0.05)
        else:
            raise SystemExit("the server does not answer")
        yield origin, lifetime
    except BaseException:
        print(Path(folder, "server.log").read_text("utf-8", "replace"), file=sys.stderr)
        raise
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Memory:
    """Keeps the tokens and the registration of a client; a real one has a keyring."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        """Return the tokens."""
        return self.tokens

    async def set_tokens(self, tokens):
        """Take the tokens."""
        self.tokens = tokens

    async def get_client_info(self):
        """Return the registration."""
        return self.client

    async def set_client_info(self, client_info):
        """Take the registration."""
        self.client = client_info


class Browser:
    """Fills in the page of the sign-in, as the browser of a user would."""

    def __init__(self, user):
        self.user = user
        self.scopes = []  # of each sign-in

    async def open(self, url):
        """Sign in at the page to which the client sends its user."""
        self.scopes.append(parse_qs(urlsplit(url).query)["scope"][0])
        async with httpx2.AsyncClient(follow_redirects=True, timeout=PATIENCE) as browser:
            page = await browser.get(url)
            asked = re.search(r'name="asked" value="([^"]+)"', page.text)[1]
            form = {"asked": asked, "username": self.user, "password": PASSWORDS[self.user]}
            answer = await browser.post(page.url, data=form, follow_redirects=False)
        self.query = parse_qs(urlsplit(answer.headers["location"]).query)

    async def answer(self):
        """Return what the browser brings back to the client."""
        return AuthorizationCodeResult(**{name: values[0] for name, values in self.query.items()})


@contextlib.asynccontextmanager
async def connected(origin, browser, memory):
    """Yield the official client, which finds the sign-in by itself."""
    metadata = OAuthClientMetadata(
        client_name="Story", redirect_uris=[CALLBACK], token_endpoint_auth_method="none"
    )
    url = f"{origin}/mcp"
    auth = OAuthClientProvider(url, metadata, memory, browser.open, browser.answer)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=PATIENCE) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def called(client, tool, **arguments):
    """Return the result of a tool."""
    return (await client.call_tool(tool, arguments)).structured_content["result"]


async def begun(http, origin, token):
    """Begin a session of the protocol by hand; return the headers of its later requests."""
    info = {"name": "by hand", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    headers = HEADERS | {"Authorization": f"Bearer {token}"}
    answer = await http.post(f"{origin}/mcp", json=message, headers=headers)
    answer.raise_for_status()
    return headers | {"Mcp-Session-Id": answer.headers["mcp-session-id"]}


async def listed(http, origin, headers):
    """Return the status of a request for the list of tools."""
    message = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    return (await http.post(f"{origin}/mcp", json=message, headers=headers)).status_code


async def watched(http, origin, headers, seconds):
    """Read a stream of server events for at most `seconds`; return its status, and its length."""
    began = time.monotonic()
    async with http.stream("GET", f"{origin}/mcp", headers=headers) as stream:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in stream.aiter_raw():
                    pass
    return stream.status_code, time.monotonic() - began


def token_for(folder, origin, audience):
    """Return a token of the same issuer, signed by the same key, for another server."""
    keys = KeySet.load(folder / "keys.json")
    signer = Signer(keys, issuer=f"{origin}/", audience=audience)
    now = int(time.time())
    return signer.sign({"sub": "alice", "iat": now, "exp": now + 60, "scope": "notes:read"})


async def signed_in(origin, user):
    """Sign a user in; return the tokens, what `list_notes` said, and until when they are valid."""
    began = time.monotonic()
    async with connected(origin, Browser(user), memory := Memory()) as client:
        notes = await called(client, "list_notes")
    return memory.tokens, notes, began + memory.tokens.expires_in


async def story(folder, origin, lifetime):
    """Play the story with access tokens that live for `lifetime` seconds."""
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        print("1. A client that knows the URL alone finds where to sign in")
        answer = await http.post(f"{origin}/mcp", headers=HEADERS)
        told(answer.status_code == 401, f"401 {answer.headers['www-authenticate']}")
        place = re.search(r'resource_metadata="([^"]+)"', answer.headers["www-authenticate"])[1]
        found = (await http.get(place)).json()
        told(found["resource"] == f"{origin}/mcp", f"sign in at {found['authorization_servers']}")

        print("2. The official client signs Alice in, and calls tools")
        alice, memory = Browser("alice"), Memory()
        async with connected(origin, alice, memory) as client:
            told(await called(client, "list_notes") == [], "list_notes: []")
            told(alice.scopes == ["notes:read"], f"asked Alice for {alice.scopes}")
            said = await called(client, "add_note", text="milk")
            told(said == "kept for alice", f"add_note: {said}")
            told(len(alice.scopes) == 2, f"asked once more, for {alice.scopes[1]}")

            print(f"3. The access token of {lifetime} s expires; the client refreshes by itself")
            before = memory.tokens
            await asyncio.sleep(lifetime + 0.5)
            told(await called(client, "list_notes") == ["milk"], "list_notes: ['milk']")
            told(memory.tokens.refresh_token != before.refresh_token, "the refresh token rotated")
            told(len(alice.scopes) == 2, "and Alice was not asked again")

        print("4. What must not count")
        other = token_for(folder, origin, "https://calendar.example/mcp")
        bearer = HEADERS | {"Authorization": f"Bearer {other}"}
        told(await listed(http, origin, bearer) == 401, "a token for another server: 401")
        for _ in range(TRIES):
            stolen, notes, until = await signed_in(origin, "mallory")
            fresh, _, ends = await signed_in(origin, "alice")
            statuses = []
            with contextlib.suppress(httpx2.HTTPStatusError):
                victim = await begun(http, origin, fresh.access_token)
                theft = victim | {"Authorization": f"Bearer {stolen.access_token}"}
                statuses = [await listed(http, origin, headers) for headers in (victim, theft)]
            if time.monotonic() < min(until, ends):
                break
        told(notes == [], "Mallory signs in, and sees no note")
        told(statuses[:1] == [200], "Alice uses her session")
        told(statuses[1:] == [404], "Mallory with Alice's session id: 404")

        print("5. A stream does not outlive its token")
        for _ in range(TRIES):
            if ends - time.monotonic() < lifetime / 4:
                fresh, _, ends = await signed_in(origin, "alice")
                victim = await begun(http, origin, fresh.access_token)
            left = ends - time.monotonic()
            most = left + max(3, lifetime / 3)
            status, lasted = await watched(http, origin, victim, most)
            if status == 200:
                break
        told(status == 200, "a stream of server events is open")
        told(lasted < most, f"it ended after {lasted:.1f} s; its token had {left:.1f} s left")


def main():
    """Play the story; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends the servers, too
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as (origin, lifetime):
        asyncio.run(story(Path(name), origin, lifetime))
    return 0


if __name__ == "__main__":
    sys.exit(main())
