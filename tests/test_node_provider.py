"""An OpenID provider in another language: oidc-provider in Node, as its library makes it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from asgi import App, served
from core_time import core_time
from linqi import (
    ANY_AUDIENCE,
    Introspection,
    IntrospectionSettings,
    JWTMiddleware,
    RemoteAccess,
    RemoteKeys,
    Verifier,
)
from linqi.config import wrap
from linqi.errors import AlgorithmNotAllowed, InvalidClaim
from node_provider import Client, Provider, node_provider
from private_server import resolve

API = "https://api.example/"
OTHER = "https://other.example/"
OPAQUE = "https://opaque.example/"
INTROSPECTION = "/token/introspection"
BOUND = 20.0
"""Seconds: more than `trust_seconds` of the test, and less than its default of 60."""
RESOURCES = {
    API: {"alg": "ES256"},
    OTHER: {"alg": "ES256"},
    OPAQUE: {"format": "opaque"},
    "https://rsa.example/": {"alg": "RS256"},
    "https://ed25519.example/": {"alg": "Ed25519"},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """Return a running provider."""
    with node_provider(resources=RESOURCES, seconds=60) as provider:
        yield provider


@pytest.fixture(scope="module")
def client(provider: Provider) -> Client:
    """Return a registered client."""
    return provider.register()


@asynccontextmanager
async def asked(app: JWTMiddleware) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of `app`, which a real uvicorn serves."""
    async with served(app) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        yield http


async def status(http: httpx2.AsyncClient, token: str) -> int:
    """Return how a request with the token is answered."""
    return (await http.get("/me", headers={"authorization": f"Bearer {token}"})).status_code


def of_toml(folder: Path, provider: Provider, app: App) -> JWTMiddleware:
    """Return the middleware that the guide's settings for RFC 9068 describe."""
    (folder / "linqi.toml").write_text(
        f"""
        [[issuers]]
        issuer = "{provider.issuer}"
        audience = ["{API}"]
        algorithms = ["ES256"]
        types = ["at+jwt"]
        require_type = true
        """
    )
    return wrap(app, folder / "linqi.toml", environ={})


async def test_tokens_of_a_provider_in_node_are_verified(
    provider: Provider, client: Client, tmp_path: Path
) -> None:
    """Discovery, key set and RFC 9068 tokens, on uvicorn by linqi.toml; an ID token is none."""
    tokens = await asyncio.to_thread(provider.sign_in, client, "alice", API)
    other = await asyncio.to_thread(provider.client_credentials, client, OTHER)
    app = App()
    async with asked(of_toml(tmp_path, provider, app)) as http:
        assert await status(http, tokens["access_token"]) == 200
        verified = app.scopes[-1]["linqi"]
        assert (verified.issuer, verified.subject) == (provider.issuer, "alice")
        assert verified.scopes == ("read",)
        assert await status(http, tokens["id_token"]) == 401
        assert await status(http, other) == 401


async def test_keys_of_a_provider_in_node_rotate(provider: Provider, client: Client) -> None:
    """A new key verifies at its first token, and the old one until it is withdrawn."""
    keys = RemoteKeys(provider.issuer, ["ES256"])
    app = JWTMiddleware(App(), Verifier(keys.trust(API)), hooks=[])
    async with asked(app) as http:
        old = await asyncio.to_thread(provider.client_credentials, client, API)
        assert await status(http, old) == 200
        await asyncio.to_thread(provider.rotate)
        new = await asyncio.to_thread(provider.client_credentials, client, API)
        assert new.split(".")[0] != old.split(".")[0]
        assert await status(http, new) == 200
        assert await status(http, old) == 200
    with pytest.raises(InvalidClaim):
        Verifier(keys.trust(OTHER)).verify(new)
    await keys.close()


async def test_v2_tokens_of_a_provider_in_node_are_signed_by_ed25519(
    provider: Provider, client: Client
) -> None:
    """The name of RFC 9864 in header and key set; who lists ``EdDSA`` does not accept them."""
    api = "https://ed25519.example/"
    token = await asyncio.to_thread(provider.client_credentials, client, api)
    keys = RemoteKeys(provider.issuer, ["Ed25519"])
    await keys.start()
    assert Verifier(keys.trust(api)).verify(token).algorithm == "Ed25519"
    await keys.close()
    others = RemoteKeys(provider.issuer, ["EdDSA", "ES256"])
    await others.start()
    with pytest.raises(AlgorithmNotAllowed):
        Verifier(others.trust(api)).verify(token)
    await others.close()


@pytest.mark.parametrize("document", ["openid-configuration", "oauth-authorization-server"])
async def test_a_provider_in_node_is_asked_by_its_private_name(
    provider: Provider, client: Client, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    """Its issuer is fixed, and its jwks_uri has the host that was asked, as with Keycloak."""
    resolve(monkeypatch, "key_cloak")
    token = await asyncio.to_thread(provider.client_credentials, client, API)
    keys = RemoteKeys(
        provider.issuer,
        ["ES256"],
        discovery_url=f"http://key_cloak:{urlsplit(provider.issuer).port}/.well-known/{document}",
        access=RemoteAccess(allow_http=True),
    )
    await keys.start()
    assert Verifier(keys.trust(API)).verify(token).issuer == provider.issuer
    snapshot = keys.snapshot()
    assert snapshot is not None
    assert snapshot.url.startswith("http://key_cloak:")
    await keys.close()


def test_node_that_is_too_old_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where npm has no newer one for the machine, the message has both versions."""
    for name, does in {"node": '[ "$1" = --version ] && echo v18.20.4', "npm": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("node_provider._ROOT", tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"node is v18\.20\.4; .* version 22 or later"):
        node_provider().__enter__()


def introspecting(form: str, folder: Path, provider: Provider, app: App) -> JWTMiddleware:
    """Return the middleware that asks the provider, with the credentials of an API of its own."""
    url = provider.about["introspection_endpoint"]
    api = provider.register("client_secret_post")
    if form == "python":
        source = Introspection(
            provider.issuer,
            url=url,
            client_id=api.id,
            client_secret=api.secret,
            client_auth="post",
            settings=IntrospectionSettings(trust_seconds=5),
        )
        return JWTMiddleware(app, Verifier(source.trust(OPAQUE)))
    (folder / "secret").write_text(api.secret)
    (folder / "linqi.toml").write_text(
        f"""
        [[issuers]]
        issuer = "{provider.issuer}"
        audience = ["{OPAQUE}"]
        introspection_url = "{url}"
        client_id = "{api.id}"
        client_secret_file = "secret"
        client_auth = "post"
        trust_seconds = 5
        """
    )
    return wrap(app, folder / "linqi.toml", environ={})


@pytest.mark.parametrize("form", ["python", "toml"])
async def test_opaque_tokens_are_accepted_until_the_provider_revokes_them(
    provider: Provider, client: Client, tmp_path: Path, form: str
) -> None:
    """By introspection; a JWT, which another API could be sent, is never shown to it."""
    app = App()
    token = (await asyncio.to_thread(provider.sign_in, client, "bob", OPAQUE))["access_token"]
    jwt = await asyncio.to_thread(provider.client_credentials, client, API)
    without = await asyncio.to_thread(provider.client_credentials, client)
    guarded = await asyncio.to_thread(introspecting, form, tmp_path, provider, app)
    async with asked(guarded) as http:
        assert await status(http, token) == 200
        verified = app.scopes[-1]["linqi"]
        assert (verified.issuer, verified.subject) == (provider.issuer, "bob")
        assert verified.scopes == ("read",)
        before = provider.counts()[INTROSPECTION]
        assert await status(http, jwt) == 401
        assert provider.counts()[INTROSPECTION] == before
        assert await status(http, without) == 401  # active, and for no audience
        assert await status(http, "made-up") == 401
        revoked = core_time()
        await asyncio.to_thread(provider.revoke, client, token)
        while await status(http, token) == 200:
            assert core_time() - revoked < BOUND
            await asyncio.sleep(0.05)
        assert await status(http, token) == 401


async def test_a_refresh_token_of_the_provider_is_no_access_token(provider: Provider) -> None:
    """The provider calls it active and names its client: only token_type is missing (J8)."""
    api, web = provider.register(), provider.register()
    signed_in = await asyncio.to_thread(provider.sign_in, web, "bob", "", "openid offline_access")
    source = Introspection(
        provider.issuer,
        url=provider.about["introspection_endpoint"],
        client_id=api.id,
        client_secret=api.secret,
    )
    required = {"client_id": web.id, "token_type": "Bearer"}
    guarded = JWTMiddleware(
        App(), Verifier(source.trust(ANY_AUDIENCE, required_claims=required)), hooks=[]
    )
    async with asked(guarded) as http:
        assert await status(http, signed_in["access_token"]) == 200
        assert await status(http, signed_in["refresh_token"]) == 401
