"""Tests of the shop."""

import httpx
import pytest
from fastapi.testclient import TestClient
from shop import app

from linqi import Key, Signer
from linqi.testing import make_token


@pytest.fixture
def client():
    """Return a client of the running shop."""
    with TestClient(app) as client:
        yield client


def test_alice_reads_her_orders(client, signed_in):
    """A signed-in user with the scope gets an answer."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    assert alice.get("/orders").json() == {"of": "alice", "orders": ["tea", "ink"]}


def test_bob_lacks_the_scope(client, signed_in):
    """A signed-in user without the scope gets 403."""
    assert signed_in(client, "bob").get("/orders").status_code == 403


def test_a_stranger_is_refused(client):
    """The client itself carries no token."""
    assert client.get("/orders").status_code == 401


def test_a_token_near_expiry_is_renewed(client, signed_in, linqi_clock):
    """The response carries the successor, and the session outlives its first token."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    first_expiry = alice.expires_at
    linqi_clock.advance(700)
    assert "X-Refresh-Token" in alice.get("/orders").headers
    linqi_clock.move_to(first_expiry)
    assert alice.get("/orders").status_code == 200


def test_an_idle_session_ends(client, signed_in, linqi_clock):
    """At `exp` the token is refused, and it is not renewed."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    linqi_clock.move_to(alice.expires_at)
    assert alice.get("/orders").status_code == 401


def test_a_revoked_session_ends_at_once(client, signed_in):
    """The next request is refused."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    alice.revoke()
    assert alice.get("/orders").status_code == 401


def test_a_forged_token_is_refused(client):
    """The verification is the one of production."""
    thief = Signer(Key.generate("ES256"), issuer="https://shop.example", audience="shop")
    token = make_token(thief, "alice", scopes=["orders:read"])
    refused = client.get("/orders", headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401


@pytest.mark.asyncio
async def test_an_async_client(signed_in):
    """An async client awaits the same calls."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        alice = signed_in(client, "alice", scopes=["orders:read"])
        assert (await alice.get("/orders")).status_code == 200
        await alice.revoke()
        assert (await alice.get("/orders")).status_code == 401
