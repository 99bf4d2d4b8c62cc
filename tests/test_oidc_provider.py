"""An independent OpenID Connect provider: oidc-provider-mock (Authlib on Flask)."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from asgi import App, call, http
from linqi import JWTMiddleware, RemoteKeys, Verifier
from linqi.errors import InvalidClaim, InvalidSignature

CALLBACK = "https://client.test/callback"


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
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    null = subprocess.DEVNULL
    provider = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{url}/jwks", timeout=2)
                break
            time.sleep(0.05)
        yield url
    finally:
        provider.terminate()
        provider.wait(15)


async def test_tokens_of_a_real_provider_are_verified(issuer: str) -> None:
    """Discovery, key set, signature, issuer and audience, without special settings."""
    client_id, token = await asyncio.to_thread(signed_in, issuer)
    keys = RemoteKeys(issuer, ["RS256"])
    app = App()
    guarded = JWTMiddleware(app, Verifier(keys.trust(client_id)), hooks=[])
    answer = await call(guarded, http(token=token))
    assert answer.status == 200
    assert app.scopes[0]["linqi"].subject == "alice"
    assert app.scopes[0]["linqi"].issuer == issuer
    assert app.scopes[0]["linqi"].expires_at > time.time()
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[:-6]}AAAAAA"
    assert (await call(guarded, http(token=forged))).status == 401
    with pytest.raises(InvalidSignature):
        guarded.verifier.verify(forged)
    with pytest.raises(InvalidClaim):
        Verifier(keys.trust("another client")).verify(token)
    await keys.close()
