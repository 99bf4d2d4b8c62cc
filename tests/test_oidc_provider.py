"""An independent OpenID Connect provider: oidc-provider-mock (Authlib on Flask)."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from asgi import App, served
from free_ports import free_port
from linqi import Verifier
from linqi.config import wrap
from linqi.errors import InvalidClaim, InvalidSignature

CALLBACK = "https://client.test/callback"
Asked: TypeAlias = tuple[App, Verifier, Callable[[str], Awaitable[int]]]
"""The application, its verifier, and the status of the answer to a token."""


def signed_in(issuer: str) -> tuple[str, str]:
    """Sign alice in by the authorization code flow; return the client id and the ID token."""
    with httpx2.Client(base_url=issuer, timeout=10) as client:
        about = client.get("/.well-known/openid-configuration").json()
        registered = client.post(
            about["registration_endpoint"], json={"redirect_uris": [CALLBACK]}
        ).json()
        query = {
            "client_id": registered["client_id"],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
        }
        page = f"{about['authorization_endpoint']}?{urlencode(query)}"
        location = client.post(page, data={"sub": "alice"}).headers["location"]
        tokens = client.post(
            about["token_endpoint"],
            auth=(registered["client_id"], registered["client_secret"]),
            data={
                "grant_type": "authorization_code",
                "code": parse_qs(urlsplit(location).query)["code"][0],
                "redirect_uri": CALLBACK,
            },
        ).json()
        return registered["client_id"], tokens["id_token"]


@pytest.fixture
def issuer() -> Iterator[str]:
    """Return the URL of a running provider."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    null = subprocess.DEVNULL
    provider = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{url}/jwks", timeout=2)
                break
            time.sleep(0.05)
        yield url
    finally:
        provider.terminate()
        provider.wait(60)


@contextlib.asynccontextmanager
async def guarded(folder: Path, issuer: str, audience: str) -> AsyncIterator[Asked]:
    """Serve an application by uvicorn and linqi.toml; yield it and how a token is answered."""
    (folder / "linqi.toml").write_text(
        f'[[issuers]]\nissuer = "{issuer}"\naudience = ["{audience}"]\nalgorithms = ["RS256"]\n'
    )
    app = App()
    wrapped = wrap(app, folder / "linqi.toml", environ={})
    async with served(wrapped) as port, httpx2.AsyncClient() as client:

        async def status(token: str) -> int:
            headers = {"authorization": f"Bearer {token}"}
            return (await client.get(f"http://127.0.0.1:{port}/", headers=headers)).status_code

        yield app, wrapped.verifier, status


async def test_tokens_of_a_real_provider_are_verified(issuer: str, tmp_path: Path) -> None:
    """Discovery, key set, signature, issuer and audience, without special settings."""
    client_id, token = await asyncio.to_thread(signed_in, issuer)
    async with guarded(tmp_path, issuer, client_id) as (app, verifier, status):
        assert await status(token) == 200
        assert app.scopes[-1]["linqi"].subject == "alice"
        assert app.scopes[-1]["linqi"].issuer == issuer
        assert app.scopes[-1]["linqi"].expires_at > time.time()
        head, body, signature = token.split(".")
        forged = f"{head}.{body}.{signature[:-6]}AAAAAA"
        assert await status(forged) == 401
        with pytest.raises(InvalidSignature):
            verifier.verify(forged)
    async with guarded(tmp_path, issuer, "another client") as (_, verifier, status):
        assert await status(token) == 401
        with pytest.raises(InvalidClaim):
            verifier.verify(token)
