"""Unit tests of the shop: the guard runs as in production, no server is started."""

import pytest
from fastapi.testclient import TestClient
from shop import app


@pytest.fixture
def client():
    """Start the application, and return a client that has no token."""
    with TestClient(app) as client:
        yield client


def test_a_stranger_is_refused(client):
    """Without a token there is a challenge, and FastAPI's `detail`."""
    refused = client.get("/orders")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert "detail" in refused.json()


def test_alice_reads_orders_and_manages_no_accounts(client, signed_in):
    """Her token has one scope; 403 names the other."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    assert alice.get("/orders").json() == ["tea", "ink"]
    refused = alice.delete("/accounts/root")
    assert refused.status_code == 403
    assert 'scope="admin"' in refused.headers["WWW-Authenticate"]


def test_a_token_near_expiry_is_renewed(client, signed_in, linqi_clock):
    """The clock of linqi moves; nothing sleeps. `signed_in` uses the successor from then on."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    linqi_clock.advance(700)
    assert "X-Refresh-Token" in alice.get("/orders").headers
    linqi_clock.advance(250)  # the first token has expired
    assert alice.get("/orders").status_code == 200


def test_a_token_of_another_issuer_is_refused(client, linqi_issuer):
    """It is well made and signed, but by an issuer that the shop does not trust."""
    headers = {"Authorization": f"Bearer {linqi_issuer.token('alice')}"}
    assert client.get("/orders", headers=headers).status_code == 401


def test_a_password_signs_in_and_the_session_is_refreshed(client):
    """As Swagger UI's Authorize sends it, and as a client with a refresh token goes on."""
    form = {"grant_type": "password", "username": "alice", "password": "correct horse"}
    pair = client.post("/login", data=form).json()
    pair = client.post("/refresh", data={"refresh_token": pair["refresh_token"]}).json()
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    assert client.get("/me", headers=headers).json() == {"name": "Alice", "role": "customer"}
