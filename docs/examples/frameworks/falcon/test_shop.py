"""Unit tests of the shop: the guard runs as in production, no server is started."""

import falcon.testing
import pytest
import shop


@pytest.fixture
def client():
    """Return Falcon's own test client of the guarded application."""
    return falcon.testing.TestClient(shop.app)


def test_a_caller_with_the_scope_reads_orders(client, signed_in):
    """`signed_in` makes a real session of alice, with the application's own keys."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    assert alice.get("/orders").json == [{"id": 1}]


def test_a_caller_without_the_scope_is_refused(client, signed_in):
    """403 names the scope."""
    refused = signed_in(client, "alice", scopes=["orders:read"]).get("/accounts/alice")
    assert refused.status_code == 403
    assert refused.json["scope"] == "admin"


def test_a_stranger_is_refused(client):
    """401, in the format of linqi.toml."""
    refused = client.get("/orders")
    assert refused.status_code == 401
    assert refused.json["code"] == "no_token"


def test_a_token_of_another_issuer_is_refused(client, linqi_issuer):
    """A well-made token, by an issuer that linqi.toml does not trust."""
    headers = {"Authorization": f"Bearer {linqi_issuer.token('alice')}"}
    refused = client.get("/orders", headers=headers)
    assert refused.status_code == 401
    assert refused.json["code"] == "invalid_token"


def test_an_expired_token_is_renewed(client, signed_in, linqi_clock):
    """The clock of linqi moves; nothing sleeps."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    linqi_clock.advance(901)
    assert alice.get("/orders").json["code"] == "token_expired"
    renewed = client.post("/refresh", json={"refresh_token": alice.refresh_token})
    headers = {"Authorization": f"Bearer {renewed.json['access_token']}"}
    assert client.get("/orders", headers=headers).status_code == 200
